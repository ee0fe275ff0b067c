"""Functions compiled with all that they call, in one piece."""

from __future__ import annotations

import ctypes

import pytest

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
    """What Numba compiles with, which is the same again when the test ends."""
    from numba.core.registry import cpu_target

    cpu_target.target_context.refresh()
    before = cpu_target.target_context.codegen()
    yield before
    assert cpu_target.target_context.codegen() is before


def test_a_function_is_called_as_in_c(codegen):
    from darknet_py.engines.cpu.compiled.whole import compile_whole

    engine = compiler.link([compile_whole(_sum_squares, 2, "darknet_sum_squares")], {})
    call = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 3)(engine.get_function_address("darknet_sum_squares"))
    assert call(3, -(2**20)) == 9 + 2**40


def test_others_compile_with_numba_as_before(codegen):
    """Also what calls a function that was compiled for a kernel."""
    from darknet_py.engines.cpu.compiled.whole import compile_whole

    compile_whole(_sum_squares, 2, "darknet_sum_squares_again")
    with pytest.raises(numba.errors.TypingError):
        compile_whole(_fail, 1, "darknet_fail")
    assert numba.njit(lambda x: _square(x) + 1)(7) == 50
    assert numba.njit(lambda x: [x, x])(7) == [7, 7]
