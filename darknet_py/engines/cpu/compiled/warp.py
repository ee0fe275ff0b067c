"""Cells of pictures at any places, their colours changed: the arithmetic of `images.augment.warp`, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, float32, njit, types
from numba.extending import intrinsic

from . import kernel
from .resize import load_byte
from .vector import F32, F64, pointer

# What divides by zero is no error here, or no loop that divides would become one of vectors.
_vectorised = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")


def _pointer_to(kind: Any, element: Any) -> Any:
    @intrinsic
    def make(context: Any, address: Any) -> Any:
        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return pointer(build, args[0], kind)

        return types.CPointer(element)(types.intp), codegen

    return make


_float32s, _float64s = _pointer_to(F32, types.float32), _pointer_to(F64, types.float64)


@kernel
def _byte(address, there):
    return float32(load_byte(address)) if there else float32(0)


@kernel
def _interpolate_row(source, stride, height, width, across_x, down_x, across_y, down_y, unit, red, green, blue):
    """A row of cells: each of the four pixels round its place, `unit` times what is there, 0 outside."""
    for i in range(len(red)):
        x, y = across_x[i] + down_x, across_y[i] + down_y
        if not (x >= -1 and x < width and y >= -1 and y < height):  # or not a number
            red[i] = green[i] = blue[i] = float32(0)
            continue
        floor_x, floor_y = np.floor(x), np.floor(y)
        across, down = float32(x - floor_x), float32(y - floor_y)
        left, top = int(floor_x), int(floor_y)
        here = source + top * stride + left * 3
        a, b = float32(1) - across, float32(1) - down
        shares = b * a, b * across, down * a, down * across
        places = here, here + 3, here + stride, here + stride + 3
        if left >= 0 and left < width - 1 and top >= 0 and top < height - 1:
            red[i] = unit * _sum(shares, places, 0)
            green[i] = unit * _sum(shares, places, 1)
            blue[i] = unit * _sum(shares, places, 2)
        else:
            there = (
                left >= 0 and top >= 0,
                left < width - 1 and top >= 0,
                left >= 0 and top < height - 1,
                left < width - 1 and top < height - 1,
            )
            red[i] = unit * _sum_of(shares, places, there, 0)
            green[i] = unit * _sum_of(shares, places, there, 1)
            blue[i] = unit * _sum_of(shares, places, there, 2)


@kernel
def _sum(shares, places, channel):
    total = shares[0] * float32(load_byte(places[0] + channel))
    total += shares[1] * float32(load_byte(places[1] + channel))
    total += shares[2] * float32(load_byte(places[2] + channel))
    return total + shares[3] * float32(load_byte(places[3] + channel))


@kernel
def _sum_of(shares, places, there, channel):
    total = shares[0] * _byte(places[0] + channel, there[0])
    total += shares[1] * _byte(places[1] + channel, there[1])
    total += shares[2] * _byte(places[2] + channel, there[2])
    return total + shares[3] * _byte(places[3] + channel, there[3])


@kernel
def _within(x, least, most):
    return min(max(x, float32(least)), float32(most))


@kernel
def _channel(corner, hue, value, chroma):
    k = float32(corner) + hue
    k -= float32(6) * np.floor(k * float32(1 / 6))
    return _within(value - chroma * _within(min(k, float32(4) - k), 0, 1), 0, 1)


@_vectorised
def _recolour_row(turn, colour, light, red, green, blue):
    for i in range(len(red)):
        r, g, b = red[i], green[i], blue[i]
        value, least = max(r, max(g, b)), min(r, min(g, b))
        span = value - least
        # All of them are computed, and then one is taken.
        of_red, of_green, of_blue = (g - b) / span, float32(2) + (b - r) / span, float32(4) + (r - g) / span
        hue = of_red if r == value else (of_green if g == value else of_blue)
        saturation = span / value
        coloured = span > 0
        hue = (hue if coloured else float32(0)) + turn
        value *= light
        chroma = value * ((saturation if coloured else float32(0)) * colour)
        red[i] = _channel(5, hue, value, chroma)
        green[i] = _channel(3, hue, value, chroma)
        blue[i] = _channel(1, hue, value, chroma)


def warp(source, stride, height, width, across_x, down_x, across_y, down_y, columns, rows, factors, target):
    """RGB of 8 bits at `source`, its rows `stride` bytes apart, to float32 [channel][row][column] at `target`.

    The four vectors are float64, as in `images.augment.Places`. FACTORS are four float32: what is added to hues of
    0..6, factors of saturation and value, and of bytes.
    """
    across_x, across_y = carray(_float64s(across_x), (columns,)), carray(_float64s(across_y), (columns,))
    down_x, down_y = carray(_float64s(down_x), (rows,)), carray(_float64s(down_y), (rows,))
    turn, colour, light, unit = carray(_float32s(factors), (4,))
    plane = rows * columns * 4
    for i in range(rows):
        x, y = down_x[i], down_y[i]
        at = target + i * columns * 4
        # Each an array of its own: LLVM sees no vectors in rows of one, and takes twice as long.
        red = carray(_float32s(at), (columns,))
        green, blue = carray(_float32s(at + plane), (columns,)), carray(_float32s(at + 2 * plane), (columns,))
        _interpolate_row(source, stride, height, width, across_x, x, across_y, y, unit, red, green, blue)
        _recolour_row(turn, colour, light, red, green, blue)
    return 0
