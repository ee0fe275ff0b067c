"""Winograd's convolution, stride 1: F(m x m, r x r) for m + r - 1 = 4, 6 or 8.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015. A tile of n x n inputs,
n = m + r - 1, gives m x m outputs. The transforms of inputs depend on n alone, those of outputs are as many rows of
one matrix as m says.
"""

from __future__ import annotations

from functools import cache

from numba import float32

from .. import table as t
from ..isa import BLOCK, COLUMNS, HALF, ROWS
from . import kernel
from .cells import load_cell
from .microkernel import multiply_adjacent, multiply_adjacent_narrow
from .sync import next_item, share_out
from .vector import activated, broadcast, fma, load, load_narrow, store, store_narrow


@kernel
def _times(x, factor):
    return x * broadcast(float32(factor))


@kernel
def _plus(x, factor, y):
    """x + factor * y."""
    return fma(broadcast(float32(factor)), y, x)


@kernel
def _output_4(m, s, ss, d, ds):
    """Four registers to `m`."""
    m0, m1, m2, m3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    a, b = m1 + m2, m1 - m2
    store(d, m0 + a)
    if m > 2:
        store(d + ds, b)
        b = a
    store(d + (m - 1) * ds, b - m3)


@kernel
def _output_6(m, s, ss, d, ds):
    """Six registers to `m`."""
    m0, m1, m2 = load(s), load(s + ss), load(s + 2 * ss)
    m3, m4, m5 = load(s + 3 * ss), load(s + 4 * ss), load(s + 5 * ss)
    a, b, p, q = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    store(d, m0 + a + p)
    row = _plus(_times(b, 2 / 3), 3 / 2, q)
    if m > 2:
        store(d + ds, row)
        row = _plus(_times(a, 4 / 9), 9 / 4, p)
    if m > 3:
        store(d + 2 * ds, row)
        row = _plus(_times(b, 8 / 27), 27 / 8, q)
    if m > 4:
        store(d + 3 * ds, row)
        row = _plus(_times(a, 16 / 81), 81 / 16, p)
    store(d + (m - 1) * ds, row + m5)


@kernel
def _output_8(m, s, ss, d, ds):
    """Eight registers to `m`, at least 4."""
    m0, m1, m2, m3 = load(s), load(s + ss), load(s + 2 * ss), load(s + 3 * ss)
    m4, m5, m6, m7 = load(s + 4 * ss), load(s + 5 * ss), load(s + 6 * ss), load(s + 7 * ss)
    a, b, p, q, u, v = m1 + m2, m1 - m2, m3 + m4, m3 - m4, m5 + m6, m5 - m6
    store(d, _plus(m0 + a + p, 32.0, u))
    store(d + ds, _plus(_plus(b, 2.0, q), 16.0, v))
    store(d + 2 * ds, _plus(_plus(a, 4.0, p), 8.0, u))
    row = _plus(_plus(b, 8.0, q), 4.0, v)
    if m > 4:
        store(d + 3 * ds, row)
        row = _plus(_plus(a, 16.0, p), 2.0, u)
    if m > 5:
        store(d + 4 * ds, row)
        row = _plus(b + v, 32.0, q)
    if m > 6:
        store(d + 5 * ds, row)
        row = _plus(a + _times(u, 0.5), 64.0, p)
    store(d + (m - 1) * ds, row + m7)


@cache
def _make_steps(load, store):
    """The transforms of a line of 4, 6 and 8 registers, that read and write in this way."""

    @kernel
    def transform_4(s, ss, d, ds):
        """Four registers from `s`, `ss` apart, to four at `d`, `ds` apart."""
        d0, d1, d2, d3 = (
            load(s),
            load(s + ss),
            load(s + 2 * ss),
            load(s + 3 * ss),
        )
        store(d, d0 - d2)
        store(d + ds, d1 + d2)
        store(d + 2 * ds, d2 - d1)
        store(d + 3 * ds, d1 - d3)

    @kernel
    def transform_6(s, ss, d, ds):
        """Six registers to six."""
        d0, d1, d2 = load(s), load(s + ss), load(s + 2 * ss)
        d3, d4, d5 = load(s + 3 * ss), load(s + 4 * ss), load(s + 5 * ss)
        even, odd = _plus(d4, -9 / 4, d2), _plus(d3, -9 / 4, d1)
        near, far = _plus(d4, -4 / 9, d2), _plus(d3, -4 / 9, d1)
        store(d, _plus(d0 + d4, -97 / 36, d2))
        store(d + ds, _plus(even, 2 / 3, odd))
        store(d + 2 * ds, _plus(even, -2 / 3, odd))
        store(d + 3 * ds, _plus(near, 3 / 2, far))
        store(d + 4 * ds, _plus(near, -3 / 2, far))
        store(d + 5 * ds, _plus(d1 + d5, -97 / 36, d3))

    @kernel
    def transform_8(s, ss, d, ds):
        """Eight registers to eight."""
        d0, d1, d2, d3 = (
            load(s),
            load(s + ss),
            load(s + 2 * ss),
            load(s + 3 * ss),
        )
        d4, d5, d6, d7 = (
            load(s + 4 * ss),
            load(s + 5 * ss),
            load(s + 6 * ss),
            load(s + 7 * ss),
        )
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

    return transform_4, transform_6, transform_8


def _make_input(load_source, store_target, cell):
    """The transform of a tile, of so many bytes a cell, that is read and written in this way."""
    first_4, first_6, first_8 = _make_steps(load_source, store)
    second_4, second_6, second_8 = _make_steps(load, store_target)

    @kernel
    def transform(n, s, ss, d, ds, scratch):
        """A tile of `n` x `n` registers at `s`, `ss` between rows, to its transform at `d`, `ds` between positions."""
        row = n * BLOCK
        if n == 8:
            for x in range(8):
                first_8(s + x * cell, ss, scratch + x * BLOCK, row)
            for y in range(8):
                second_8(scratch + y * row, BLOCK, d + y * 8 * ds, ds)
        elif n == 6:
            for x in range(6):
                first_6(s + x * cell, ss, scratch + x * BLOCK, row)
            for y in range(6):
                second_6(scratch + y * row, BLOCK, d + y * 6 * ds, ds)
        else:
            for x in range(4):
                first_4(s + x * cell, ss, scratch + x * BLOCK, row)
            for y in range(4):
                second_4(scratch + y * row, BLOCK, d + y * 4 * ds, ds)

    return transform


_input = _make_input(load, store, BLOCK)
_input_narrow = _make_input(load_narrow, store_narrow, HALF)
_input_edge_narrow = _make_input(load, store_narrow, BLOCK)  # a tile that was put together beside its picture


def _make_output(load_residual, store_target, cell):
    """The last step of a tile's outputs, that are written in this way."""

    @kernel
    def write(s, height, width, m, d, dd, bias, residual, slopes, finals):
        """`height` x `width` of the `m` x `m` registers at `s`, activated, to `d`, `dd` between rows."""
        for y in range(height):
            line, offset = s + y * m * BLOCK, y * dd
            if residual != 0:
                for x in range(width):
                    value = activated(load(line + x * BLOCK) + bias, slopes)
                    value = activated(value + load_residual(residual + offset + x * cell), finals)
                    store_target(d + offset + x * cell, value)
            else:
                for x in range(width):
                    store_target(d + offset + x * cell, activated(load(line + x * BLOCK) + bias, slopes))

    return write


_write, _write_narrow = _make_output(load, store, BLOCK), _make_output(load_narrow, store_narrow, HALF)


@kernel
def _output(n, m, s, ss, d, scratch):
    """Products at `s`, `ss` between positions, to `m` x `m` registers at `d`."""
    row = n * BLOCK
    if n == 8:
        for x in range(8):
            _output_8(m, s + x * ss, 8 * ss, scratch + x * BLOCK, row)
        for y in range(m):
            _output_8(m, scratch + y * row, BLOCK, d + y * m * BLOCK, BLOCK)
    elif n == 6:
        for x in range(6):
            _output_6(m, s + x * ss, 6 * ss, scratch + x * BLOCK, row)
        for y in range(m):
            _output_6(m, scratch + y * row, BLOCK, d + y * m * BLOCK, BLOCK)
    else:
        for x in range(4):
            _output_4(m, s + x * ss, 4 * ss, scratch + x * BLOCK, row)
        for y in range(m):
            _output_4(m, scratch + y * row, BLOCK, d + y * m * BLOCK, BLOCK)


@kernel
def _find_outputs(op, tile):
    """Image, top row and left column of the outputs of tile number `tile`."""
    row, column = divmod(tile, op[t.TILE_COLUMNS])
    image, tile_row = divmod(row + op[t.FIRST_ROW], op[t.TILE_ROWS])
    return image, tile_row * op[t.OUT_TILE], column * op[t.OUT_TILE]


@kernel
def _transform_input(op, block, tile, d, ds, scratch):
    """A tile of a block of channels, zeros where it lies outside its picture."""
    n, h, w = op[t.IN_TILE], op[t.HEIGHT], op[t.WIDTH]
    image, top, left = _find_outputs(op, tile)
    top, left = top - op[t.PADDING], left - op[t.PADDING]
    cell = op[t.CELL]
    s, ss = op[t.A] + block * op[t.A_PLANE] + ((image * h + top) * w + left) * cell, w * cell
    half = scratch + 64 * BLOCK
    if top < 0 or left < 0 or top + n > h or left + n > w:
        zero = broadcast(float32(0))
        first, last = max(-left, 0), max(min(n, w - left), 0)
        for y in range(n):
            line = scratch + y * n * BLOCK
            if top + y < 0 or top + y >= h:
                for x in range(n):
                    store(line + x * BLOCK, zero)
            else:
                for x in range(first):
                    store(line + x * BLOCK, zero)
                for x in range(first, last):
                    store(line + x * BLOCK, load_cell(s + y * ss + x * cell, cell))
                for x in range(last, n):
                    store(line + x * BLOCK, zero)
        if cell == BLOCK:
            _input(n, scratch, n * BLOCK, d, ds, half)
        else:
            _input_edge_narrow(n, scratch, n * BLOCK, d, ds, half)
    elif cell == BLOCK:
        _input(n, s, ss, d, ds, half)
    else:
        _input_narrow(n, s, ss, d, ds, half)


@kernel
def _transform_output(op, slopes, finals, block, tile, s, ss, scratch):
    """A tile's outputs, in a block of channels, from its products."""
    n, m, h, w = op[t.IN_TILE], op[t.OUT_TILE], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    image, top, left = _find_outputs(op, tile)
    _output(n, m, s, ss, scratch, scratch + 64 * BLOCK)
    bias = load(op[t.BIAS] + block * BLOCK)
    cell = op[t.OUT_CELL]
    offset = block * op[t.C_PLANE] + ((image * h + top) * w + left) * cell
    residual = op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0
    rest = scratch, min(m, h - top), min(m, w - left), m, op[t.C] + offset, w * cell, bias, residual, slopes, finals
    if cell == BLOCK:
        _write(*rest)
    else:
        _write_narrow(*rest)


@kernel
def _to_tile(op, tile, cell):
    """From the start of a block to tile number `tile` in [group][position][tile of the group][LANES]."""
    group, number = divmod(tile, op[t.GROUP_SIZE])
    return (group * op[t.IN_TILE] ** 2 * op[t.GROUP_SIZE] + number) * cell


@kernel
def transform_input(op, scratch, share):
    """Blocked pictures at A to tiles at TILES; a row of a block's tiles an item.

    Tiles lie as [block of channels][group][position][tile][LANES], `GROUP_SIZE` tiles in a group, `TILES_PLANE`
    between blocks, of `CELL`. `ROW_COUNT` rows of tiles are done, from `FIRST_ROW` on, counted through all images.
    `scratch` holds 2 * 8 * 8 registers.
    """
    columns, ds = op[t.TILE_COLUMNS], op[t.GROUP_SIZE] * op[t.CELL]
    queue = share_out(share, op[t.BLOCKS] * op[t.ROW_COUNT])
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        for tile in range(row * columns, (row + 1) * columns):
            d = op[t.TILES] + block * op[t.TILES_PLANE] + _to_tile(op, tile, op[t.CELL])
            _transform_input(op, block, tile, d, ds, scratch)
        item = next_item(queue)


@kernel
def transform_output(op, slope, final, scratch, share):
    """Products at PRODUCTS to blocked pictures at C; a row of a block's tiles an item.

    Products are laid out like tiles, `PRODUCTS_PLANE` between blocks.
    """
    columns, ss = op[t.TILE_COLUMNS], op[t.GROUP_SIZE] * BLOCK
    slopes, finals = broadcast(slope), broadcast(final)
    queue = share_out(share, op[t.OUT_BLOCKS] * op[t.ROW_COUNT])
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.OUT_BLOCKS])
        for tile in range(row * columns, (row + 1) * columns):
            s = op[t.PRODUCTS] + block * op[t.PRODUCTS_PLANE] + _to_tile(op, tile, BLOCK)
            _transform_output(op, slopes, finals, block, tile, s, ss, scratch)
        item = next_item(queue)


@kernel
def convolve(op, slope, final, scratch, share):
    """All three steps for a part of the tiles, an item, in memory that is the thread's own.

    TILES and PRODUCTS are thread 0's, `THREAD_BYTES` before the next one's; both lie as [block][group][position][tile
    of the group][LANES], the tiles dealt out to as few groups as the micro-kernel takes. B is as for `multiply`, `TAPS`
    the offsets of blocks from TILES, RESIDUAL and C as for `transform_output`, and NO_BIAS a panel of zeros.
    """
    positions, thread = op[t.IN_TILE] ** 2, share.thread
    tiles, products = op[t.TILES] + thread * op[t.THREAD_BYTES], op[t.PRODUCTS] + thread * op[t.THREAD_BYTES]
    slopes, finals = broadcast(slope), broadcast(final)
    all_tiles, items = op[t.ROW_COUNT] * op[t.TILE_COLUMNS], op[t.ITEMS]
    queue = share_out(share, items)
    item = next_item(queue)
    while item >= 0:
        first = item * all_tiles // items
        count = (item + 1) * all_tiles // items - first
        groups = (count + ROWS - 1) // ROWS
        size = (count + groups - 1) // groups
        ds, ss = size * op[t.CELL], size * BLOCK
        for block in range(op[t.BLOCKS]):
            for i in range(count):
                d = tiles + block * op[t.TILES_PLANE] + i % groups * positions * ds + i // groups * op[t.CELL]
                _transform_input(op, block, first + i, d, ds, scratch)
        for position in range(positions):
            for panel in range(op[t.PANELS]):
                columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
                b = op[t.B] + position * op[t.B_BATCH] + panel * op[t.B_PANEL]
                panel_bytes = op[t.TAP_COUNT] * op[t.DEPTH] * columns * BLOCK
                for group in range(groups):
                    number = group * positions + position
                    tile, plane = tiles + number * ds, op[t.PRODUCTS_PLANE]
                    c = products + panel * COLUMNS * plane + number * ss
                    rest = (
                        (count - group + groups - 1) // groups, columns, tile, op[t.TAPS], op[t.TAP_COUNT],
                        op[t.DEPTH], b, b + panel_bytes + group * panel_bytes // groups, BLOCK // groups, c, plane,
                        BLOCK, op[t.NO_BIAS], float32(1), 0, float32(1),
                    )  # fmt: skip
                    if op[t.CELL] == BLOCK:
                        multiply_adjacent(BLOCK, *rest)
                    else:
                        multiply_adjacent_narrow(HALF, *rest)
        for block in range(op[t.OUT_BLOCKS]):
            for i in range(count):
                s = products + block * op[t.PRODUCTS_PLANE] + i % groups * positions * ss + i // groups * BLOCK
                _transform_output(op, slopes, finals, block, first + i, s, ss, scratch)
        item = next_item(queue)
