"""Functions that are compiled apart from those that call them: once, and at the same time as they."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import table as t
from .vector import I32, I64

_SIGNATURE = ir.FunctionType(I64, [I64] * t.APART_FIELDS)


def emit(symbol: str, function: str) -> str:
    """A module, in LLVM's assembly, with the function `symbol`: what Numba compiled and calls `function`.

    Numba's convention: results go to the address given first, exceptions, of which there are none, to the second.
    """
    module = ir.Module()
    nothing = ir.IntType(8).as_pointer()
    convention = ir.FunctionType(I32, [I64.as_pointer(), nothing.as_pointer(), *_SIGNATURE.args])
    compiled = ir.Function(module, convention, function)
    plain = ir.Function(module, _SIGNATURE, symbol)
    build = ir.IRBuilder(plain.append_basic_block())
    result = build.alloca(I64)
    build.call(compiled, [result, build.alloca(nothing), *plain.args])
    build.ret(build.load(result))
    return str(module)


def _call(symbol: str) -> Any:
    @intrinsic
    def call(context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        """A function of so many int64, that returns one."""

        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return build.call(cgutils.get_or_insert_function(build.module, _SIGNATURE, symbol), args)

        return types.intp(*[types.intp] * t.APART_FIELDS), codegen

    return call


walk, train = map(_call, t.APART.values())
