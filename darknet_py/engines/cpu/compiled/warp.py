"""Cells of pictures at any places, with changed colours: the arithmetic of `images.augment.warp`, cell by cell."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, float32, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..isa import LANES
from . import kernel
from .pixels import LONGS, load_byte, load_pairs
from .vector import F32, F64, I32, I64, INTS, REGISTER, ZEROS, pointer, prefetch, splat

_DOUBLES = ir.VectorType(F64, LANES)
_FLOOR, _FLOOR_NAME = ir.FunctionType(_DOUBLES, [_DOUBLES]), f"llvm.floor.v{LANES}f64"


def _pointer_to(kind: Any, element: Any) -> Any:
    @intrinsic
    def make(context: Any, address: Any) -> Any:
        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return pointer(build, args[0], kind)

        return types.CPointer(element)(types.intp), codegen

    return make


_float32s, _float64s = _pointer_to(F32, types.float32), _pointer_to(F64, types.float64)


def _each(build: Any, value: Any, kind: Any) -> Any:
    """A vector with `value` in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    return build.shuffle_vector(build.insert_element(undefined, value, I32(0)), undefined, ir.Constant(INTS, None))


@intrinsic
def _blend(context: Any, picture: Any, places: Any, unit: Any, target: Any, plane: Any) -> Any:
    """Compute `LANES` cells, to three rows of float32 at `target`, `plane` bytes apart; return a bit for each not done.

    Not done are those with some of their four pixels outside, and those for which fewer than 8 bytes can be read from
    the row below: both pixels of a row are loaded at once. Cells with all pixels outside are 0.

    PICTURE is the address of its first byte, the distance of its rows, its height and width, and the offset of the last
    byte from which 8 can be read a row further down. PLACES are the addresses of the cells' columns and rows in it,
    each with what is added to them, as in `warp`.
    """

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        picture, places, unit, target, plane = args
        source, stride, height, width, last = cgutils.unpack_tuple(build, picture)
        across_x, down_x, across_y, down_y = cgutils.unpack_tuple(build, places)
        zero, one = ir.Constant(_DOUBLES, None), _each(build, F64(1), _DOUBLES)

        def double(value: Any) -> Any:
            return _each(build, build.sitofp(value, F64), _DOUBLES)

        def place(across: Any, down: Any, side: Any) -> Any:
            """Whole numbers, what is left, whether both these and the next are in the picture, whether either is."""
            values = build.load(pointer(build, across, _DOUBLES), align=8)
            values = build.fadd(values, _each(build, down, _DOUBLES))
            whole = build.call(cgutils.get_or_insert_function(build.module, _FLOOR, _FLOOR_NAME), [values])
            rest = build.fptrunc(build.fsub(values, whole), REGISTER)
            both, any_ = (
                build.and_(build.fcmp_ordered(">=", whole, least), build.fcmp_ordered("<", whole, most))
                for least, most in ((zero, build.fsub(side, one)), (build.fsub(zero, one), side))
            )
            return whole, rest, both, any_

        left, across, in_width, near_width = place(across_x, down_x, double(width))
        top, down, in_height, near_height = place(across_y, down_y, double(height))
        offset = build.fadd(build.fmul(top, double(stride)), build.fmul(left, double(I64(3))))
        inside = build.and_(build.and_(in_width, in_height), build.fcmp_ordered("<=", offset, double(last)))
        offset = build.fptosi(build.select(inside, offset, zero), LONGS)
        addresses = [build.add(source, build.extract_element(offset, I32(lane))) for lane in range(LANES)]
        # What the next rows of cells will need is seldom in the L1 cache: waiting took an eighth of the time.
        for address in (addresses[0], addresses[LANES // 2]):
            prefetch(build, build.add(address, build.mul(stride, I64(4))))

        above = load_pairs(build, addresses)
        below = load_pairs(build, [build.add(address, stride) for address in addresses])
        a, b = (build.fsub(splat(build, F32(1)), share) for share in (across, down))
        shares = [build.fmul(share_y, share_x) for share_y in (b, down) for share_x in (a, across)]
        for channel in range(3):
            values = [row[channel + beside] for row in (above, below) for beside in (0, 3)]
            first, *others = (build.fmul(share, value) for share, value in zip(shares, values, strict=True))
            total = build.fmul(splat(build, unit), reduce(build.fadd, others, first))
            at = build.add(target, build.mul(plane, I64(channel)))
            build.store(build.select(inside, total, ZEROS), pointer(build, at, REGISTER), align=4)
        undone = build.and_(build.and_(near_width, near_height), build.not_(inside))
        return build.zext(build.bitcast(undone, ir.IntType(LANES)), I64)

    return types.int64(picture, places, types.float32, types.intp, types.intp), codegen


@kernel
def _interpolate_edge(source, stride, height, width, x, y, unit):
    """The channels of a cell, times `unit`; any of its pixels may be outside the picture, and then count as 0."""
    if not (x >= -1 and x < width and y >= -1 and y < height):  # or not a number
        return float32(0), float32(0), float32(0)
    left, top = int(np.floor(x)), int(np.floor(y))
    shares = float32(x - np.floor(x)), float32(y - np.floor(y))
    here = source + top * stride + left * 3
    there = top >= 0, top < height - 1, left >= 0, left < width - 1
    red = unit * _interpolate_channel(here, stride, shares, there)
    green = unit * _interpolate_channel(here + 1, stride, shares, there)
    return red, green, unit * _interpolate_channel(here + 2, stride, shares, there)


@kernel
def _interpolate_channel(here, stride, shares, there):
    across, down = shares
    above, below, before, behind = there
    a, b = float32(1) - across, float32(1) - down
    total = (b * a) * _byte(here, above and before)
    total += (b * across) * _byte(here + 3, above and behind)
    total += (down * a) * _byte(here + stride, below and before)
    total += (down * across) * _byte(here + stride + 3, below and behind)
    return total


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


@kernel
def _recolour_row(turn, colour, light, red, green, blue):
    for i in range(len(red)):
        r, g, b = red[i], green[i], blue[i]
        value, least = max(r, max(g, b)), min(r, min(g, b))
        span = value - least
        # One of the three is chosen before the division.
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


def warp(source, stride, height, width, across_x, down_x, across_y, down_y, columns, rows, factors, target):
    """RGB of 8 bits at `source`, its rows `stride` bytes apart, to float32 [channel][row][column] at `target`.

    The four vectors are float64, as in `images.augment.Places`. FACTORS are four float32: what is added to hues of
    0..6, and the factors of saturation, of value and of bytes.
    """
    xs, ys = carray(_float64s(across_x), (columns,)), carray(_float64s(across_y), (columns,))
    down_xs, down_ys = carray(_float64s(down_x), (rows,)), carray(_float64s(down_y), (rows,))
    turn, colour, light, unit = carray(_float32s(factors), (4,))
    plane = rows * columns * 4
    picture = source, stride, height, width, (height - 2) * stride + width * 3 - 8
    for i in range(rows):
        x, y = down_xs[i], down_ys[i]
        at = target + i * columns * 4
        # Each an array of its own: LLVM does not vectorize loops over rows of one, which then take twice as long.
        red = carray(_float32s(at), (columns,))
        green, blue = carray(_float32s(at + plane), (columns,)), carray(_float32s(at + 2 * plane), (columns,))
        for j in range(0, columns, LANES):
            first, undone = max(min(j, columns - LANES), 0), -1  # the last register overlaps the one before
            if columns >= LANES and picture[4] >= 0:
                places = across_x + first * 8, x, across_y + first * 8, y
                undone = _blend(picture, places, unit, at + first * 4, plane)
            if undone != 0:
                for k in range(first, min(first + LANES, columns)):
                    if undone >> (k - first) & 1:
                        red[k], green[k], blue[k] = _interpolate_edge(
                            source, stride, height, width, xs[k] + x, ys[k] + y, unit
                        )
        _recolour_row(turn, colour, light, red, green, blue)
    return 0
