"""Functions compiled with all that they call, in one piece."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from darknet_py.engines.cpu import compiler

numba = pytest.importorskip("numba")


@numba.njit
def _square(x):
    return x * x


def _sum_squares(a, b):
    return _square(a) + _square(b)


def _fail(a):
    return a.nothing


@pytest.fixture
def codegen():
    """Numba's code generator, which must be the same when the test ends."""
    from numba.core.registry import cpu_target

    cpu_target.target_context.refresh()
    before = cpu_target.target_context.codegen()
    yield before
    assert cpu_target.target_context.codegen() is before


def sum_squares(symbol):
    """`_sum_squares`, compiled as `symbol`."""
    from darknet_py.engines.cpu.compiled.whole import compile_whole

    engine = compiler.link([compile_whole(_sum_squares, 2, symbol)], {})
    call = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 3)(engine.get_function_address(symbol))
    return call(3, -(2**20)), engine


def test_a_function_is_called_as_in_c(codegen):
    assert sum_squares("darknet_sum_squares")[0] == 9 + 2**40


def test_what_is_replaced_is_numbas():
    from darknet_py.engines.cpu.compiled import whole

    assert whole._are_known()


@pytest.mark.parametrize("other", ["of another name", "set_env"])
def test_another_numba_compiles_in_its_own_way(other, codegen, monkeypatch):
    from darknet_py.engines.cpu.compiled import whole

    def fail():
        raise AssertionError

    monkeypatch.setattr(whole._Codegen, other, lambda self, more: None, raising=False)
    monkeypatch.setattr(whole, "_unoptimised", fail)
    assert sum_squares(f"darknet_{other.split()[-1]}")[0] == 9 + 2**40


def test_others_compile_with_numba_as_before(codegen):
    """Including a function that calls one that was compiled for a kernel."""
    from darknet_py.engines.cpu.compiled.whole import compile_whole

    compile_whole(_sum_squares, 2, "darknet_sum_squares_again")
    with pytest.raises(numba.errors.TypingError):
        compile_whole(_fail, 1, "darknet_fail")
    assert numba.njit(lambda x: _square(x) + 1)(7) == 50
    assert numba.njit(lambda x: [x, x])(7) == [7, 7]


ANOTHER = """
from darknet_py.engines.cpu import jit
from darknet_py.engines.cpu.compiled import whole

whole._Library.of_another_name = lambda self: None
assert not whole._are_known()
jit.processor_count = lambda: 1  # no other process compiles
"""
ANSWER = """
import sys

import numpy as np
from darknet_py import load_network

network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu")
np.savetxt(sys.stdout, [network.predict(network.fit("data/star.png")[None]).ravel()])
"""


def run_script(script, **environment):
    command = [sys.executable, "-c", script]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return np.fromstring(done.stdout, sep=" ")


@pytest.mark.slow
def test_kernels_that_another_numba_compiles_answer_the_same(tmp_path):
    """Unoptimized, which takes half the time."""
    answer = run_script(ANOTHER + ANSWER, DARKNET_PY_CACHE=str(tmp_path), NUMBA_OPT="0")
    assert answer.size
    np.testing.assert_allclose(answer, run_script(ANSWER), rtol=1e-5, atol=1e-8)
