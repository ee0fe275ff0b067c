"""What took long to compile, kept in the cache and known to be whole when it comes back."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from ...cache import cache_dir
from ...errors import EngineError
from ...files import write_atomically

DIGEST = hashlib.sha256().digest_size  # bytes of it before the content


def cache_folder() -> Path:
    """Where this engine keeps files."""
    return cache_dir() / "cuda"


def keep(made_of: str, suffix: str, make: Callable[[], bytes]) -> bytes:
    """What `make` returns, which `made_of` decides: from the cache where it is there and whole."""
    path = _path(made_of, suffix)
    with contextlib.suppress(OSError):
        kept = path.read_bytes()
        if hashlib.sha256(kept[DIGEST:]).digest() == kept[:DIGEST]:
            return kept[DIGEST:]
    made = make()
    with contextlib.suppress(OSError, EngineError):  # without a cache it is made each time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [hashlib.sha256(made).digest(), made], EngineError)
    return made


def forget(made_of: str, suffix: str) -> None:
    """Let the cache no longer have it."""
    with contextlib.suppress(OSError):
        _path(made_of, suffix).unlink()


def _path(made_of: str, suffix: str) -> Path:
    return cache_folder() / f"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}{suffix}"
