"""The kernels for lesser machines: the same code, compiled for other instruction sets, is held to the same bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import llvmlite.binding as llvm
import pytest
from conftest import ROOT

# Instruction sets of this processor's family, with the feature that each wants, as LLVM names it; `avx512` is what the
# other tests run with where it is there.
WANTED = {"avx2": "avx2", "plain": ""}


@pytest.mark.slow
@pytest.mark.parametrize("isa", WANTED)
def test_the_engine_is_right_with_every_instruction_set(isa, cache):
    if WANTED[isa] and not llvm.get_host_cpu_features().get(WANTED[isa]):
        pytest.skip(f"this machine has no {WANTED[isa]}")
    environment = {
        **os.environ,
        "DARKNET_PY_ISA": isa,
        "DARKNET_PY_EXAMPLES": "50",
        "DARKNET_PY_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
    }
    tests = ["tests/engines/test_cpu.py", "tests/engines/test_guards.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
