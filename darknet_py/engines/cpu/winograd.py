"""Winograd's convolution: 3 x 3 kernels, stride 1, by F(m x m, 3 x 3) with m = 2, 4, 6.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015. Interpolation points are
0, 1, -1, infinity; for m = 4 also 2, -2; for m = 6 also 1/2, -1/2.
"""

from __future__ import annotations

import numpy as np
from numba import float32, njit

from . import table as t
from .microkernel import BLOCK
from .sync import next_item
from .vector import activated, broadcast, fma, load, store

# G of F(m, 3): the 1-d transform of kernels.
KERNEL_TRANSFORMS = {
    2: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
    4: np.array(
        [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
         [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
    ),
    6: np.array(
        [[1, 0, 0], [-2 / 9, -2 / 9, -2 / 9], [-2 / 9, 2 / 9, -2 / 9], [1 / 90, 1 / 45, 2 / 45],
         [1 / 90, -1 / 45, 2 / 45], [1 / 45, 1 / 90, 1 / 180], [1 / 45, -1 / 90, 1 / 180], [0, 0, 1]]
    ),
}  # fmt: skip


@njit(nogil=True)
def _times(x, factor):
    return x * broadcast(float32(factor))


@njit(nogil=True)
def _plus(x, factor, y):
    """x + factor * y."""
    return fma(broadcast(float32(factor)), y, x)


@njit(nogil=True)
def _input_2(s, ss, d, ds):
    """Four registers from `s`, `ss` apart, to four at `d`, `ds` apart."""
    d0, d1, d2, d3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    store(d, d0 - d2)
    store(d + ds, d1 + d2)
    store(d + 2 * ds, d2 - d1)
    store(d + 3 * ds, d1 - d3)


@njit(nogil=True)
def _output_2(s, ss, d, ds):
    """Four registers to two."""
    m0, m1, m2, m3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    store(d, m0 + m1 + m2)
    store(d + ds, m1 - m2 - m3)


@njit(nogil=True)
def _input_4(s, ss, d, ds):
    """Six registers to six."""
    d0, d1, d2 = load(s), load(s + ss), load(s + 2 * ss)
    d3, d4, d5 = load(s + 3 * ss), load(s + 4 * ss), load(s + 5 * ss)
    even, odd = _plus(d4, -4.0, d2), _plus(d3, -4.0, d1)
    near, far = d4 - d2, _times(d3 - d1, 2.0)
    store(d, _plus(_plus(d4, -5.0, d2), 4.0, d0))
    store(d + ds, even + odd)
    store(d + 2 * ds, even - odd)
    store(d + 3 * ds, near + far)
    store(d + 4 * ds, near - far)
    store(d + 5 * ds, _plus(_plus(d5, -5.0, d3), 4.0, d1))


@njit(nogil=True)
def _output_4(s, ss, d, ds):
    """Six registers to four."""
    m0, m1, m2 = load(s), load(s + ss), load(s + 2 * ss)
    m3, m4, m5 = load(s + 3 * ss), load(s + 4 * ss), load(s + 5 * ss)
    a, b, p, q = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    store(d, m0 + a + p)
    store(d + ds, _plus(b, 2.0, q))
    store(d + 2 * ds, _plus(a, 4.0, p))
    store(d + 3 * ds, _plus(b + m5, 8.0, q))


@njit(nogil=True)
def _input_6(s, ss, d, ds):
    """Eight registers to eight."""
    d0, d1, d2, d3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    d4, d5, d6, d7 = load(s + 4 * ss), load(s + 5 * ss), load(s + 6 * ss), load(s + 7 * ss)
    store(d, _plus(d0 - d6, 5.25, d4 - d2))
    store(d + 7 * ds, _plus(d7 - d1, 5.25, d3 - d5))
    even, odd = _plus(d2 + d6, -4.25, d4), _plus(d1 + d5, -4.25, d3)
    store(d + ds, even + odd)
    store(d + 2 * ds, even - odd)
    even = _plus(_plus(d6, 0.25, d2), -1.25, d4)
    odd = _plus(_plus(_times(d1, 0.5), -2.5, d3), 2.0, d5)
    store(d + 3 * ds, even + odd)
    store(d + 4 * ds, even - odd)
    even = _plus(_plus(d6, 4.0, d2), -5.0, d4)
    odd = _plus(_plus(_times(d1, 2.0), -2.5, d3), 0.5, d5)
    store(d + 5 * ds, even + odd)
    store(d + 6 * ds, even - odd)


@njit(nogil=True)
def _output_6(s, ss, d, ds):
    """Eight registers to six."""
    m0, m1, m2, m3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    m4, m5, m6, m7 = load(s + 4 * ss), load(s + 5 * ss), load(s + 6 * ss), load(s + 7 * ss)
    a, b, p, q, u, v = m1 + m2, m1 - m2, m3 + m4, m3 - m4, m5 + m6, m5 - m6
    store(d, _plus(m0 + a + p, 32.0, u))
    store(d + ds, _plus(_plus(b, 2.0, q), 16.0, v))
    store(d + 2 * ds, _plus(_plus(a, 4.0, p), 8.0, u))
    store(d + 3 * ds, _plus(_plus(b, 8.0, q), 4.0, v))
    store(d + 4 * ds, _plus(_plus(a, 16.0, p), 2.0, u))
    store(d + 5 * ds, _plus(m7 + b + v, 32.0, q))


@njit(nogil=True)
def _input(m, s, ss, d, ds):
    if m == 2:
        _input_2(s, ss, d, ds)
    elif m == 4:
        _input_4(s, ss, d, ds)
    else:
        _input_6(s, ss, d, ds)


@njit(nogil=True)
def _output(m, s, ss, d, ds):
    if m == 2:
        _output_2(s, ss, d, ds)
    elif m == 4:
        _output_4(s, ss, d, ds)
    else:
        _output_6(s, ss, d, ds)


@njit(nogil=True)
def _tile_offset(tile, group_size, positions):
    """Where tile number `tile` lies in [group][position][tile of the group][LANES]."""
    group, place = divmod(tile, group_size)
    return (group * positions * group_size + place) * BLOCK


@njit(nogil=True)
def transform_input(op, scratch, counter):
    """Blocked pictures at A to tiles at C; a row of tiles an item.

    Tiles lie as [block of channels][group][position][tile][LANES], `GROUP_SIZE` tiles in a group, `C_PLANE`
    between blocks. `ROW_COUNT` rows of tiles are done, from `FIRST_ROW` on, counted through all images.
    `scratch` holds 2 * 8 * 8 registers.
    """
    m, h, w, columns = op[t.OUT_TILE], op[t.HEIGHT], op[t.WIDTH], op[t.TILE_COLUMNS]
    n = m + 2
    ds = op[t.GROUP_SIZE] * BLOCK
    half = scratch + 64 * BLOCK
    zero = broadcast(float32(0))
    items = op[t.BLOCKS] * op[t.ROW_COUNT]
    item = next_item(counter)
    while item < items:
        block, row = divmod(item, op[t.ROW_COUNT])
        image, tile_row = divmod(row + op[t.FIRST_ROW], op[t.TILE_ROWS])
        top = tile_row * m - op[t.PADDING]
        source = op[t.A] + block * op[t.A_PLANE] + image * h * w * BLOCK
        target = op[t.C] + block * op[t.C_PLANE]
        for column in range(columns):
            left = column * m - op[t.PADDING]
            s, ss = source + (top * w + left) * BLOCK, w * BLOCK
            if top < 0 or left < 0 or top + n > h or left + n > w:
                for y in range(n):
                    for x in range(n):
                        inside = 0 <= top + y < h and 0 <= left + x < w
                        value = load(s + y * ss + x * BLOCK) if inside else zero
                        store(scratch + (y * n + x) * BLOCK, value)
                s, ss = scratch, n * BLOCK
            for x in range(n):
                _input(m, s + x * BLOCK, ss, half + x * BLOCK, n * BLOCK)
            d = target + _tile_offset(row * columns + column, op[t.GROUP_SIZE], n * n)
            for y in range(n):
                _input(m, half + y * n * BLOCK, BLOCK, d + y * n * ds, ds)
        item = next_item(counter)


@njit(nogil=True)
def transform_output(op, slope, final, scratch, counter):
    """Products at A, laid out like `transform_input`'s tiles, to blocked pictures at C; a row of tiles an item.

    `A_PLANE` lies between blocks of products.
    """
    m, h, w, columns = op[t.OUT_TILE], op[t.HEIGHT], op[t.WIDTH], op[t.TILE_COLUMNS]
    n = m + 2
    ss = op[t.GROUP_SIZE] * BLOCK
    half = scratch + 64 * BLOCK
    slopes, finals = broadcast(slope), broadcast(final)
    items = op[t.BLOCKS] * op[t.ROW_COUNT]
    item = next_item(counter)
    while item < items:
        block, row = divmod(item, op[t.ROW_COUNT])
        image, tile_row = divmod(row + op[t.FIRST_ROW], op[t.TILE_ROWS])
        top = tile_row * m
        bias = load(op[t.BIAS] + block * BLOCK)
        start = block * op[t.C_PLANE] + image * h * w * BLOCK
        source = op[t.A] + block * op[t.A_PLANE]
        for column in range(columns):
            s = source + _tile_offset(row * columns + column, op[t.GROUP_SIZE], n * n)
            for x in range(n):
                _output(m, s + x * ss, n * ss, half + x * BLOCK, n * BLOCK)
            for y in range(m):
                _output(m, half + y * n * BLOCK, BLOCK, scratch + y * m * BLOCK, BLOCK)
            left = column * m
            for y in range(min(m, h - top)):
                offset = start + ((top + y) * w + left) * BLOCK
                for x in range(min(m, w - left)):
                    value = activated(load(scratch + (y * m + x) * BLOCK) + bias, slopes)
                    if op[t.RESIDUAL] != 0:
                        value = activated(value + load(op[t.RESIDUAL] + offset + x * BLOCK), finals)
                    store(op[t.C] + offset + x * BLOCK, value)
        item = next_item(counter)
