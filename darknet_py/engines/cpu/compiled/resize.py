"""Bilinear interpolation of pictures, in the arithmetic of `images.fit.interpolate`, operation by operation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from ..isa import LANES
from . import kernel
from .pixels import load_pairs
from .sync import int64s
from .vector import F32, I64, REGISTER, broadcast, load, load_scalar, multiply_add, pointer, splat, store, store_scalar

# 1 / 255 in float32, and the rest of it: together they give the float32 nearest to each of 256 quotients, as division
# does, in a tenth of its time.
SHARE = np.float32(1 / 255)
REST = np.float32(1 / 255 - float(SHARE))


@intrinsic
def _stretch(context: Any, source: Any, offsets: Any, across: Any, target: Any, pitch: Any) -> Any:
    """Interpolate `LANES` pixels of a row: a register each of red, green and blue at `target`, `pitch` bytes apart.

    OFFSETS (int64) are where their left neighbours are in the row, in bytes, ACROSS (float32) how far they are beyond.
    """

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        source, offsets, across, target, pitch = args
        places = [build.load(pointer(build, build.add(offsets, I64(8 * lane)), I64), align=8) for lane in range(LANES)]
        share, rest = (splat(build, F32(float(number))) for number in (SHARE, REST))
        values = [
            multiply_add(build, value, share, build.fmul(value, rest))
            for value in load_pairs(build, [build.add(source, place) for place in places])
        ]
        beyond = build.load(pointer(build, across, REGISTER), align=4)
        before = build.fsub(splat(build, F32(1)), beyond)
        for channel in range(3):
            left, right = build.fmul(before, values[channel]), build.fmul(beyond, values[channel + 3])
            at = build.add(target, build.mul(pitch, I64(channel)))
            build.store(build.fadd(left, right), pointer(build, at, REGISTER), align=4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), codegen


@kernel
def _blend_rows(a, b, share, rest, target, width):
    """`share` times one row of float32 plus `rest` times another."""
    whole = width // LANES * LANES
    for x in range(0, whole, LANES):
        store(target + x * 4, broadcast(share) * load(a + x * 4) + broadcast(rest) * load(b + x * 4))
    for x in range(whole, width):
        store_scalar(target + x * 4, share * load_scalar(a + x * 4) + rest * load_scalar(b + x * 4))


def interpolate(source, stride, last, last_row, offsets, across, width, top, upper, lower, height, rows, target):
    """RGB of 8 bits at `source`, its rows `stride` bytes apart, to float32 [channel][row][column] at `target`.

    LAST is row number `last_row`, with 8 bytes after it that may be read. For each column OFFSETS (int64) says where
    its left neighbour is, in bytes, and ACROSS (float32) how far the column is beyond; both are padded to whole
    registers. For each row TOP is its upper neighbour, UPPER and LOWER are the shares of that and of the next one. ROWS
    has room for two rows of three channels, each padded to whole registers.
    """
    pitch = (width + LANES - 1) // LANES * LANES * 4
    starts = int64s(top)
    held = -1, -1  # the rows of the picture that ROWS holds, even and odd
    for y in range(height):
        first = starts[y]
        second = min(first + 1, last_row)
        for row in (first, second):
            if held[row & 1] != row:
                a = last if row == last_row else source + row * stride
                place = rows + (row & 1) * 3 * pitch
                for x in range(0, pitch, 4 * LANES):
                    _stretch(a, offsets + 2 * x, across + x, place + x, pitch)
                held = (row, held[1]) if row & 1 == 0 else (held[0], row)
        share, rest = load_scalar(upper + y * 4), load_scalar(lower + y * 4)
        for c in range(3):
            a, b = rows + ((first & 1) * 3 + c) * pitch, rows + ((second & 1) * 3 + c) * pitch
            _blend_rows(a, b, share, rest, target + (c * height + y) * width * 4, width)
    return 0
