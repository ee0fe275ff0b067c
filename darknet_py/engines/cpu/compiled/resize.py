"""Bilinear interpolation of pictures, in the arithmetic of `image.interpolate`, operation by operation."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, types
from numba.extending import intrinsic

from ..isa import LANES
from . import kernel
from .sync import int64s
from .vector import broadcast, load, load_scalar, pointer, store, store_scalar

_BYTE = ir.IntType(8)


@intrinsic
def load_byte(context: Any, address: Any) -> Any:
    """The byte at `address`, from 0 to 255."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.zext(build.load(pointer(build, args[0], _BYTE), align=1), context.get_value_type(types.intp))

    return types.intp(types.intp), codegen


@kernel
def _stretch_row(source, target, pitch, left, across, width, last, unit):
    """A row of pixels (RGB, 8 bits) to `width` columns: three rows of float32, `pitch` bytes apart."""
    columns = int64s(left)
    for x in range(width):
        column = columns[x]
        a, b = source + column * 3, source + min(column + 1, last) * 3
        fraction = load_scalar(across + x * 4)
        rest = float32(1) - fraction
        for c in range(3):
            here, beyond = load_scalar(unit + load_byte(a + c) * 4), load_scalar(unit + load_byte(b + c) * 4)
            store_scalar(target + c * pitch + x * 4, rest * here + fraction * beyond)


@kernel
def _blend_rows(a, b, share, rest, target, width):
    """`share` times one row of float32 plus `rest` times another."""
    whole = width // LANES * LANES
    for x in range(0, whole, LANES):
        store(target + x * 4, broadcast(share) * load(a + x * 4) + broadcast(rest) * load(b + x * 4))
    for x in range(whole, width):
        store_scalar(target + x * 4, share * load_scalar(a + x * 4) + rest * load_scalar(b + x * 4))


def interpolate(
    source, stride, last_row, last_column, left, across, width, top, upper, lower, height, unit, rows, target
):
    """RGB of 8 bits at `source`, its rows `stride` bytes apart, to float32 [channel][row][column] at `target`.

    For each column LEFT (int64) is its left neighbour, ACROSS (float32) how far it lies beyond; for each row TOP is its
    upper neighbour, UPPER and LOWER are the shares of that and of the next one. UNIT holds the float32 of each of 256
    values. ROWS has room for two rows of three channels, each padded to whole registers.
    """
    pitch = (width + LANES - 1) // LANES * LANES * 4
    starts = int64s(top)
    held = -1, -1  # the rows of the picture that ROWS holds, even and odd
    for y in range(height):
        first = starts[y]
        second = min(first + 1, last_row)
        for row in (first, second):
            if held[row & 1] != row:
                place = rows + (row & 1) * 3 * pitch
                _stretch_row(source + row * stride, place, pitch, left, across, width, last_column, unit)
                held = (row, held[1]) if row & 1 == 0 else (held[0], row)
        share, rest = load_scalar(upper + y * 4), load_scalar(lower + y * 4)
        for c in range(3):
            a, b = rows + ((first & 1) * 3 + c) * pitch, rows + ((second & 1) * 3 + c) * pitch
            _blend_rows(a, b, share, rest, target + (c * height + y) * width * 4, width)
    return 0
