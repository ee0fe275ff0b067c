"""The kernels for lesser machines: the same code, compiled for other instruction sets, is held to the same bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import llvmlite.binding as llvm
import pytest
from conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["avx2", "plain"])
def test_the_engine_is_right_with_every_instruction_set(isa, cache):
    if isa == "avx2" and not llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this machine has no AVX2")
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
