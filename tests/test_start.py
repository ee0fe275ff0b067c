"""What the program loads for a command: each module delays the start by a thousandth to a third of a second."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from conftest import ROOT

# Runs a command silently, and prints the modules that are loaded then.
CODE = """
import io, sys
sys.stdout = io.StringIO()
from darknet_py.__main__ import main
assert main() == 0
print(*sys.modules, file=sys.__stdout__)
"""
RUNNING = {"PIL", "llvmlite", "numba", "darknet_py.cache", "darknet_py.engines.cpu", "darknet_py.images"}


def loaded_by(command, **environment):
    """The modules that a command has loaded when it ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    words = [sys.executable, "-c", CODE, *command.split()]
    ran = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, env=environment)
    loaded = set(ran.stdout.split())
    # A module that waits to be used is in sys.modules, too; its parts are called numpy.core or numpy._core.
    return loaded if any(name.endswith("._multiarray_umath") for name in loaded) else loaded - {"numpy"}


def test_help_loads_hardly_anything():
    rooms = {name.split(".")[1] for name in loaded_by("--help") if name.startswith("darknet_py.")}
    start = {"__main__", "interrupt", "lazy"}
    assert rooms == start | {"cli", "commands", "errors", "files", "foreign", "streams", "version"}
    assert not loaded_by("--help") & {"csv", "hashlib", "json", "numpy"}


def test_counting_operations_loads_the_layers_that_the_network_has():
    loaded = loaded_by("ops shapes")
    assert {"darknet_py.layers.convolutional", "darknet_py.layers.maxpool"} <= loaded
    assert not loaded & {"darknet_py.layers.local", "darknet_py.layers.route", "darknet_py.layers.upsample"}
    assert not loaded & {
        *RUNNING,
        "darknet_py.classifier",
        "darknet_py.engines.base",
        "darknet_py.downloads",
        "darknet_py.weights",
        "hashlib",
        "numpy",
    }


def test_listing_the_networks_reads_none_of_them():
    loaded = loaded_by("networks")
    assert "darknet_py.networks" in loaded
    assert not loaded & {
        *RUNNING - {"darknet_py.cache"},
        "darknet_py.cfg",
        "darknet_py.layers",
        "numpy",
        "requests",
    }


def test_telling_of_the_machine_loads_no_kernels(cache):
    loaded = loaded_by("info", DARKNET_PY_CACHE=str(cache))
    assert "darknet_py.engines.cpu.isa" in loaded
    assert not loaded & {
        "PIL",
        "cupy",
        "cv2",
        "numba",
        "requests",
        "darknet_py.classifier",
        "darknet_py.engines.cpu.compiler",
    }


def test_listing_the_cache_loads_nothing_that_fills_it(cache):
    loaded = loaded_by("cache", DARKNET_PY_CACHE=str(cache))
    assert "darknet_py.inventory" in loaded
    assert not loaded & {*RUNNING - {"darknet_py.cache"}, "filelock", "requests", "darknet_py.network"}


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="LLVM links the kernels of other machines"
)
def test_a_run_that_finds_its_kernels_loads_neither_compiler_nor_linker(cache):
    command = "classifier predict shapes data/star.png -nogpu"
    loaded_by(command, DARKNET_PY_CACHE=str(cache))
    loaded = loaded_by(command, DARKNET_PY_CACHE=str(cache))
    assert {"darknet_py.engines.cpu.linked", "PIL.PngImagePlugin"} <= loaded
    assert not loaded & {"importlib.metadata", "llvmlite", "numba"}
    assert not loaded & {"PIL.BmpImagePlugin", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin"}
    assert not [name for name in loaded if name.startswith(("darknet_py.training", "darknet_py.engines.cpu.training"))]
    for unused in ("engines.cpu.compiler", "engines.cpu.linker", "engines.cuda", "fetch", "images.augment"):
        assert f"darknet_py.{unused}" not in loaded
    assert not loaded & {"darknet_py.layers.cost", "darknet_py.layers.local", "darknet_py.layers.route"}
