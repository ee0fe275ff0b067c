"""darknet cache: what is kept, and its removal."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from darknet_py.downloads import _sole_use, weights_path
from darknet_py.engines.cpu.jit import kernels_path
from darknet_py.errors import JournalError
from darknet_py.runs.journals import usual_path
from darknet_py.runs.lock import lock_file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with a file of some kinds, each of 3 MiB, and one that is the user's."""
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    mine = weights_path("mine")
    for path in (kernels_path(), weights_path("tiny"), journal(), mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(3 << 20))
    return tmp_path / "cache"


def journal():
    return usual_path("valid", ["a.cfg"], [])


@pytest.fixture
def darknet(darknet):
    """Run ``darknet cache``."""
    return partial(darknet, "cache")


def test_the_list_says_where_what_and_how_much(darknet, cache):
    code, out, err = darknet()
    first, _, *rows = out.splitlines()
    assert (code, err, first) == (0, "", str(cache))
    assert [row.split()[:4] for row in rows] == [
        ["kernels", "1", "3", "MiB"],
        ["weights", "1", "3", "MiB"],
        ["journals", "1", "3", "MiB"],
        ["bench", "0", "0", "MiB"],
        ["other", "1", "3", "MiB"],
    ]


def test_the_list_for_a_program(darknet, cache):
    code, out, err = darknet("--format", "json")
    one, none = {"files": 1, "bytes": 3 << 20}, {"files": 0, "bytes": 0}
    assert (code, err) == (0, "")
    kinds = {"kernels": one, "weights": one, "journals": one, "bench": none, "other": one}
    assert json.loads(out) == {"folder": str(cache), "kinds": kinds}


def test_a_cache_that_is_not_there_is_empty_and_is_not_made(darknet, tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "none"))
    assert darknet()[0] == 0
    assert darknet("--clear") == (0, "0 MiB freed\n", "")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "removed"),
    [
        (["--clear"], {"journals", "kernels", "weights"}),
        (["--clear", "all"], {"journals", "kernels", "weights"}),
        (["--clear", "kernels"], {"kernels"}),
        (["--clear", "weights"], {"weights"}),
        (["--clear", "journals"], {"journals"}),
        (["--clear", "bench"], set()),
    ],
)
def test_clearing_removes_what_is_meant_and_says_so(darknet, cache, words, removed):
    there = {"journals": journal(), "kernels": kernels_path(), "weights": weights_path("tiny")}
    told = [f"removed {there[kind]}" for kind in sorted(removed)]
    assert darknet(*words) == (0, "\n".join([*told, f"{3 * len(removed)} MiB freed", ""]), "")
    assert {kind for kind, path in there.items() if not path.exists()} == removed
    assert weights_path("mine").exists()


def test_a_journal_that_a_run_is_writing_stays(darknet, cache):
    lock = lock_file(journal(), "busy", JournalError)
    try:
        code, out, err = darknet("--clear")
    finally:
        lock.release()
    assert (code, err) == (1, f"darknet: {journal()}: cannot be removed: another run is writing this journal\n")
    assert out.splitlines()[-1] == "6 MiB freed"
    assert journal().exists()


def test_a_journal_is_removed_where_its_lock_cannot_be_while_it_is_held(darknet, cache, monkeypatch):
    unlink = Path.unlink

    def remove(path, missing_ok=False):
        if path.suffix == ".lock":  # as Windows says of a file that is open
            raise PermissionError(13, "used by another process", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", remove)
    assert darknet("--clear", "journals") == (0, f"removed {journal()}\n3 MiB freed\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock, which Windows does not have")
def test_what_fetch_is_downloading_stays(darknet, cache):
    part = weights_path("tiny").with_name("tiny.weights.part")
    with _sole_use(part):
        part.write_bytes(b"begun")
        code, out, err = darknet("--clear", "weights")
        assert part.read_bytes() == b"begun"
    assert (code, err) == (1, f"darknet: {part}: cannot be removed: another process is writing it\n")
    assert out.splitlines() == [f"removed {weights_path('tiny')}", "3 MiB freed"]
    assert darknet("--clear", "weights")[0] == 0
    assert not part.exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may remove everything")
def test_what_cannot_be_removed_is_named(darknet, cache):
    kernels_path().parent.chmod(0o500)
    try:
        code, _, err = darknet("--clear", "kernels")
    finally:
        kernels_path().parent.chmod(0o700)
    assert (code, err) == (1, f"darknet: {kernels_path()}: cannot be removed: permission denied\n")


def test_kinds_that_are_none_are_refused(darknet, cache):
    code, out, err = darknet("--clear", "everything")
    assert (code, out) == (2, "")
    assert "invalid choice: 'everything'" in err
