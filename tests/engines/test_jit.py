"""The cache of compiled kernels."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from darknet_py.engines.cpu import jit
from darknet_py.errors import EngineError
from darknet_py.limits import Limit


def warm_up(folder):
    environment = {**os.environ, "DARKNET_PY_CACHE": str(folder)}
    command = [sys.executable, "-m", "darknet_py", "classify", "shapes", "data/star.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "star: " in done.stdout
    return "compiling kernels" in done.stderr


def test_kernels_are_compiled_once_and_anew_where_the_cache_is_broken(cache, tmp_path):
    warm_up(cache)
    folder = tmp_path / "cache"
    shutil.copytree(cache, folder)
    assert not warm_up(folder)
    (kept,) = (folder / "kernels").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"not what was written", whole[:-1]):
        kept.write_bytes(damaged)
        assert warm_up(folder)
        assert kept.stat().st_size == len(whole)
    assert not warm_up(folder)


def test_where_memory_does_not_suffice_to_compile_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    monkeypatch.setattr(jit, "memory_limits", lambda: [Limit("this container's", 200 << 20, 50 << 20)])
    says = "engine=cpu: compiling kernels takes 212 MiB, more than this container's 200 MiB"
    with pytest.raises(EngineError, match=f"^{says}$"):
        jit.load_kernels.__wrapped__()


def test_where_no_memory_can_be_made_executable_it_says_so(monkeypatch):
    def refuse(linked, own):
        raise PermissionError(errno.EACCES, "memory cannot be made executable")

    monkeypatch.setattr(jit, "place", refuse)
    fields = {"entries": {}, "addresses": [], "imports": {}}
    with pytest.raises(EngineError, match=r"^engine=cpu: no kernels can be run: memory cannot be made executable$"):
        jit.Native(json.dumps(fields).encode() + b"\n")


def test_kernels_that_are_asked_for_are_those_of_all_processors(monkeypatch):
    """As in an image of a container that runs on another machine than it is built on."""
    paths = {}
    for asked in (None, "avx2"):
        monkeypatch.setattr(jit, "ASKED", asked)
        for identity in ("one", "another"):
            monkeypatch.setattr(jit, "PROCESSOR", jit.PROCESSOR._replace(identity=identity))
            paths[asked, identity] = jit.kernels_path()
    assert paths["avx2", "one"] == paths["avx2", "another"]
    assert len(set(paths.values())) == 3
