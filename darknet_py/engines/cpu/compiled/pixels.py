"""Pixels, RGB of 8 bits, as registers of float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..isa import LANES
from .vector import I32, I64, INTS, REGISTER, each, pointer

LONGS, _WORDS = ir.VectorType(I64, LANES), ir.VectorType(I32, 2 * LANES)
_BYTE = ir.IntType(8)


def load_pairs(build: Any, addresses: Sequence[Any]) -> list[Any]:
    """Red, green and blue of the pixel at each address, then of the next one: 0 to 255. 8 bytes are read at each.

    They are read one by one: with gather instructions it took 1.05 times as long.
    """
    loaded = ir.Constant(LONGS, ir.Undefined)
    for lane, address in enumerate(addresses):
        loaded = build.insert_element(loaded, build.load(pointer(build, address, I64), align=1), I32(lane))
    words = build.bitcast(loaded, _WORDS)
    values = []
    for byte in range(6):
        chosen = ir.Constant(INTS, [2 * lane + byte // 4 for lane in range(LANES)])
        word = build.shuffle_vector(words, ir.Constant(_WORDS, ir.Undefined), chosen)
        shifted = build.lshr(word, each(8 * (byte % 4)))  # the lower byte comes first
        values.append(build.sitofp(build.and_(shifted, each(255)), REGISTER))
    return values


@intrinsic
def load_byte(context: Any, address: Any) -> Any:
    """The byte at `address`, from 0 to 255."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.zext(build.load(pointer(build, args[0], _BYTE), align=1), context.get_value_type(types.intp))

    return types.intp(types.intp), codegen
