"""Cells of pictures at any places, their colours changed: the arithmetic of `images.augment.warp`, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, float32, njit, types
from numba.extending import intrinsic

from . import kernel
from .resize import load_byte
from .vector import F32, F64, I32, pointer

# What divides by zero is no error here, or no loop that divides would become one of vectors.
_vectorised = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")
_BYTES, _INTS, _FLOATS = (ir.VectorType(kind, 4) for kind in (ir.IntType(8), I32, F32))


def _pointer_to(kind: Any, element: Any) -> Any:
    @intrinsic
    def make(context: Any, address: Any) -> Any:
        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return pointer(build, args[0], kind)

        return types.CPointer(element)(types.intp), codegen

    return make


_float32s, _float64s = _pointer_to(F32, types.float32), _pointer_to(F64, types.float64)


@intrinsic
def _blend(context: Any, here: Any, stride: Any, across: Any, down: Any, unit: Any, target: Any) -> Any:
    """`unit` times the pixels at `here`, beside, below it and beside that, by their shares, to float32 at `target`.

    Four are written; the last is of what happens to lie behind the pixels.
    """

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        here, stride, across, down, unit, target = args

        def pixel(place: Any) -> Any:
            loaded = build.load(pointer(build, place, _BYTES), align=1)
            return build.sitofp(build.zext(loaded, _INTS), _FLOATS)

        def each(value: Any) -> Any:
            undefined = ir.Constant(_FLOATS, ir.Undefined)
            first = build.insert_element(undefined, value, I32(0))
            return build.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * 4))

        a, b, across, down = (each(x) for x in (build.fsub(F32(1), across), build.fsub(F32(1), down), across, down))
        below, three = build.add(here, stride), ir.Constant(here.type, 3)
        total = build.fmul(build.fmul(b, a), pixel(here))
        total = build.fadd(total, build.fmul(build.fmul(b, across), pixel(build.add(here, three))))
        total = build.fadd(total, build.fmul(build.fmul(down, a), pixel(below)))
        total = build.fadd(total, build.fmul(build.fmul(down, across), pixel(build.add(below, three))))
        build.store(build.fmul(each(unit), total), pointer(build, target, _FLOATS), align=4)
        return context.get_dummy_value()

    floats = types.float32
    return types.void(types.intp, types.intp, floats, floats, floats, types.intp), codegen


@_vectorised
def _find_row(stride, height, width, across_x, down_x, across_y, down_y, pixels):
    """Where in the picture the upper left of the four pixels of each cell lies, in bytes; -1 unless all four are there.

    Nor does the last place count, behind whose pixels may be no byte.
    """
    last = (height - 2.0) * stride + (width - 2.0) * 3
    for i in range(len(pixels)):
        left, top = np.floor(across_x[i] + down_x), np.floor(across_y[i] + down_y)
        place = top * stride + left * 3
        there = (left >= 0) & (left < width - 1.0) & (top >= 0) & (top < height - 1.0) & (place < last)
        pixels[i] = place if there else -1.0


@_vectorised
def _share_row(across_x, down_x, across_y, down_y, across, down):
    """How far each cell lies beyond the upper left of its four pixels."""
    for i in range(len(across)):
        x, y = across_x[i] + down_x, across_y[i] + down_y
        across[i], down[i] = float32(x - np.floor(x)), float32(y - np.floor(y))


@kernel
def _interpolate_edge(source, stride, height, width, x, y, unit, cell):
    """A cell some of whose pixels are outside, and count as 0: `unit` times what is there, to `cell`."""
    if not (x >= -1 and x < width and y >= -1 and y < height):  # or not a number
        cell[0] = cell[1] = cell[2] = float32(0)
        return
    left, top = int(np.floor(x)), int(np.floor(y))
    across, down = float32(x - np.floor(x)), float32(y - np.floor(y))
    a, b = float32(1) - across, float32(1) - down
    here = source + top * stride + left * 3
    above, below = top >= 0, top < height - 1
    before, behind = left >= 0, left < width - 1
    for channel in range(3):
        total = (b * a) * _byte(here + channel, above and before)
        total += (b * across) * _byte(here + 3 + channel, above and behind)
        total += (down * a) * _byte(here + stride + channel, below and before)
        total += (down * across) * _byte(here + stride + 3 + channel, below and behind)
        cell[channel] = unit * total


@kernel
def _byte(address, there):
    return float32(load_byte(address)) if there else float32(0)


@kernel
def _within(x, least, most):
    return min(max(x, float32(least)), float32(most))


@kernel
def _channel(corner, hue, value, chroma):
    k = float32(corner) + hue
    k -= float32(6) * np.floor(k * float32(1 / 6))
    return _within(value - chroma * _within(min(k, float32(4) - k), 0, 1), 0, 1)


@_vectorised
def _recolour_row(turn, colour, light, cells, red, green, blue):
    for i in range(len(red)):
        r, g, b = cells[4 * i], cells[4 * i + 1], cells[4 * i + 2]
        value, least = max(r, max(g, b)), min(r, min(g, b))
        span = value - least
        # Which of three is taken before it is divided.
        is_red, is_green = r == value, g == value
        apart = g - b if is_red else (b - r if is_green else r - g)
        corner = float32(0) if is_red else (float32(2) if is_green else float32(4))
        coloured = span > 0
        hue = (corner + apart / span if coloured else float32(0)) + turn
        saturation = span / value if coloured else float32(0)
        value *= light
        chroma = value * (saturation * colour)
        red[i] = _channel(5, hue, value, chroma)
        green[i] = _channel(3, hue, value, chroma)
        blue[i] = _channel(1, hue, value, chroma)


def warp(source, stride, height, width, across_x, down_x, across_y, down_y, columns, rows, factors, scratch, target):
    """RGB of 8 bits at `source`, its rows `stride` bytes apart, to float32 [channel][row][column] at `target`.

    The four vectors are float64, as in `images.augment.Places`. FACTORS are four float32: what is added to hues of
    0..6, factors of saturation and value, and of bytes. SCRATCH has room for `WARP_SCRATCH` bytes for each column.
    """
    across_x, across_y = carray(_float64s(across_x), (columns,)), carray(_float64s(across_y), (columns,))
    down_x, down_y = carray(_float64s(down_x), (rows,)), carray(_float64s(down_y), (rows,))
    turn, colour, light, unit = carray(_float32s(factors), (4,))
    pixels = carray(_float64s(scratch), (columns,))
    across = carray(_float32s(scratch + 8 * columns), (columns,))
    down = carray(_float32s(scratch + 12 * columns), (columns,))
    start = scratch + 16 * columns
    cells = carray(_float32s(start), (4 * columns,))
    plane = rows * columns * 4
    for i in range(rows):
        x, y = down_x[i], down_y[i]
        _find_row(stride, height, width, across_x, x, across_y, y, pixels)
        _share_row(across_x, x, across_y, y, across, down)
        for j in range(columns):
            if pixels[j] >= 0:
                _blend(source + int(pixels[j]), stride, across[j], down[j], unit, start + 16 * j)
            else:
                cell = cells[4 * j : 4 * j + 3]
                _interpolate_edge(source, stride, height, width, across_x[j] + x, across_y[j] + y, unit, cell)
        at = target + i * columns * 4
        # Each an array of its own: LLVM sees no vectors in rows of one, and takes twice as long.
        red = carray(_float32s(at), (columns,))
        green, blue = carray(_float32s(at + plane), (columns,)), carray(_float32s(at + 2 * plane), (columns,))
        _recolour_row(turn, colour, light, cells, red, green, blue)
    return 0
