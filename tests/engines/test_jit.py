"""The cache of compiled kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from conftest import ROOT


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
