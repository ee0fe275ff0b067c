"""A small file that stands for a published one, on a server of the loopback address."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import loopback
import pytest

from darknet_py import downloads
from darknet_py.content_id import content_id
from darknet_py.downloads import Published, fetch
from darknet_py.errors import DarknetError, FetchError

BODY = random.Random(1).randbytes(1000)
OTHER = random.Random(2).randbytes(1000)


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `made`, whose content is BODY, the only published file, and a folder below `folder` the program's cache.

    The file is received in small blocks. Returns the folder, still empty, in which the cache puts it.
    """
    (folder / "body").write_bytes(BODY)
    made = Published((len(BODY), len(BODY) + 4), content_id(folder / "body"))
    monkeypatch.setattr(downloads, "PUBLISHED", {"made": made})
    monkeypatch.setattr(downloads, "BLOCK", 100)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(folder / "cache"))
    monkeypatch.delenv("DARKNET_PY_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    weights = folder / "cache" / "weights"
    weights.mkdir(parents=True)
    return weights


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[loopback.Server]:
    """A server that sends BODY, or what the test says; `made` is downloaded from it."""
    with loopback.serving() as server:
        server.answers = [loopback.file(BODY)]
        monkeypatch.setenv("DARKNET_PY_BASE_URL", server.url)
        yield server


def record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the seconds to wait between requests, instead of waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", seconds.append)
    return seconds


def failure(kind: type[DarknetError] = FetchError) -> str:
    """Fetch `made`, which must fail; return the line that the user reads."""
    with pytest.raises(DarknetError) as caught:
        fetch("made")
    assert isinstance(caught.value, kind)
    line = str(caught.value)
    assert "\n" not in line
    return line


def ranges(server: loopback.Server) -> list[str | None]:
    """The Range header of each request."""
    return [header for _, header in server.requests]


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
