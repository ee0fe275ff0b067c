"""Functions that are compiled apart from their callers: once, and in parallel with them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import table as t
from .vector import I64

_SIGNATURE = ir.FunctionType(I64, [I64] * t.APART_FIELDS)


def _call(symbol: str) -> Any:
    @intrinsic
    def call(context: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        """Call a function of `APART_FIELDS` int64, which returns one."""

        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return build.call(cgutils.get_or_insert_function(build.module, _SIGNATURE, symbol), args)

        return types.intp(*[types.intp] * t.APART_FIELDS), codegen

    return call


walk, train = (_call(t.SYMBOLS[name]) for name in t.APART)
