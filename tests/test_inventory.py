"""Files in the cache are known by their names, and nothing else is touched."""

from __future__ import annotations

import sys

import pytest

from darknet_py.cache import cache_dir, keep, write_private
from darknet_py.downloads import PUBLISHED, weights_path
from darknet_py.engines.cpu.jit import kernels_path
from darknet_py.engines.cuda import kept as cuda_kept
from darknet_py.engines.cuda.tune import Tuner
from darknet_py.inventory import KINDS, list_kept, remove_kept
from darknet_py.runs.journals import usual_path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kinds():
    return {one.path: one.kind for one in list_kept()}


def written():
    """By kind, the files of each writer: written by it, or under the name that it gives."""
    keep(kernels_path(), lambda kept: b"code")
    cuda_kept.keep("source", ".cubin", lambda: b"code")
    cuda_kept.keep("source", ".plan", lambda: b"plan")
    write_private(Tuner("a GPU").path, [b"{}"])
    killed = kernels_path().with_name(f".{'0a' * 8}")
    weights = [weights_path(name) for name in PUBLISHED]
    weights.append(weights_path("tiny").with_name("tiny.weights.part"))
    journals = [usual_path(name, ["a.cfg"], [1]) for name in ("valid", "valid10")]
    journals.append(journals[0].with_name(f"{journals[0].name}~"))
    bench = [cache_dir() / "bench" / name for name in ("landscape.jpg", "labelled/a.JPEG", "tiny-0123abcd/tiny.onnx")]
    for path in (killed, *weights, *journals, *bench):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    kernels = [kernels_path(), Tuner("a GPU").path, killed, *cuda_kept.cache_folder().glob("*.*")]
    return {"kernels": {*kernels}, "weights": {*weights}, "journals": {*journals}, "bench": {*bench}}


def test_what_each_writer_writes_is_known():
    by_kind = written()
    assert by_kind.keys() == KINDS.keys()
    assert kinds() == {path: kind for kind, paths in by_kind.items() for path in paths}
    assert {one.size for one in list_kept() if one.kind == "bench"} == {5}


def test_without_a_cache_there_is_nothing():
    assert kinds() == {}


@pytest.mark.parametrize(
    "name",
    ["weights/mine.weights", "weights/tiny.weights.bak", "kernels/notes.txt", "journals/a.txt", "cuda/x/y.cubin"],
)
def test_files_of_others_are_of_no_kind(cache, name):
    (cache / name).parent.mkdir(parents=True)
    (cache / name).touch()
    assert kinds() == {cache / name: ""}


def test_folders_beside_those_of_the_cache_are_not_looked_at(cache):
    (cache / "mine").mkdir(parents=True)
    (cache / "mine" / "tiny.weights").touch()
    (cache / "tiny.weights").touch()
    assert kinds() == {}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_are_not_followed(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tiny.weights").touch()
    cache.mkdir()
    (cache / "weights").symlink_to(tmp_path / "elsewhere")
    assert kinds() == {}
    (cache / "weights").unlink()
    (cache / "weights").mkdir()
    (cache / "weights" / "tiny.weights").symlink_to(tmp_path / "elsewhere" / "tiny.weights")
    (cache / "weights" / "more").symlink_to(tmp_path / "elsewhere")
    assert set(kinds().values()) <= {""}


def test_removing_leaves_no_empty_folder_but_the_cache(cache):
    written()
    (cache / "weights" / "mine.weights").touch()
    for one in list_kept():
        if one.kind:
            remove_kept(one)
    assert [path.relative_to(cache).as_posix() for path in sorted(cache.rglob("*"))] == [
        "weights",
        "weights/mine.weights",
    ]


def test_what_is_gone_already_is_no_error(cache):
    written()
    kept = list(list_kept())
    for _ in range(2):
        for one in kept:
            remove_kept(one)
    assert kinds() == {}
