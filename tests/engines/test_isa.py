"""The kernels for lesser machines: the same code, compiled for other instruction sets, is held to the same bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import llvmlite.binding as llvm
import pytest
from conftest import ROOT

from darknet_py.engines.cpu import isa

# Instruction sets of this processor's family, with the feature that each wants, as LLVM names it; `avx512` is what the
# other tests run with where it is there.
WANTED = {"avx2": "avx2", "plain": ""}

FEATURES = [
    ("plain", set()),
    ("plain", {"avx2"}),
    ("avx2", {"avx2", "fma"}),
    ("avx2", {"avx2", "fma", "avx512f"}),
    ("avx512", {"avx2", "fma", "avx512f", "avx512vl"}),
    ("neon", {"neon"}),
]


@pytest.mark.parametrize(("name", "features"), FEATURES)
def test_a_machine_takes_the_best_that_it_has(name, features, monkeypatch):
    monkeypatch.setattr(isa, "ASKED", None)
    monkeypatch.setattr(isa, "_HAS", dict.fromkeys(features, True) | {"sse": True, "sse4a": False})
    assert isa._choose().name == name


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_the_engine_is_right_with_every_instruction_set(name, cache):
    if WANTED[name] and not llvm.get_host_cpu_features().get(WANTED[name]):
        pytest.skip(f"this machine has no {WANTED[name]}")
    environment = {
        **os.environ,
        "DARKNET_PY_ISA": name,
        "DARKNET_PY_EXAMPLES": "50",
        "DARKNET_PY_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
    }
    tests = ["tests/engines/test_cpu.py", "tests/engines/test_guards.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
