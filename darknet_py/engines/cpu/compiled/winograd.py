"""Winograd's convolution, stride 1: F(m x m, r x r) for the lines that `toom.POINTS` has.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015. A tile of n x n inputs,
n = m + r - 1, gives m x m outputs. Where a picture ends before its last tiles do, these are smaller: of all positions
they have the first few in each direction, those of a smaller m.
"""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK, COLUMNS, HALF
from ..toom import MOST_POINTS
from . import kernel
from .bending import bend_cells
from .cells import load_cell
from .gemm import find_part, find_span
from .microkernel import multiply_adjacent, multiply_adjacent_narrow
from .sync import int64s, next_item, share_out
from .transforms import (
    finish_lines,
    finish_lines_narrow,
    halve_lines,
    halve_lines_narrow,
    transform_input_lines,
    transform_input_narrowing,
    transform_input_widening,
    transform_output_lines,
    which_transform,
)
from .vector import broadcast, store

LINE = MOST_POINTS * BLOCK  # of a tile in scratch


@kernel
def _find_outputs(op, tile):
    """Image, top row and left column of the outputs of tile number `tile`, and how many rows and columns there are."""
    row, column = divmod(tile, op[t.TILE_COLUMNS])
    image, tile_row = divmod(row, op[t.TILE_ROWS])
    m = op[t.OUT_TILE]
    top, left = tile_row * m, column * m
    return image, top, left, min(m, op[t.OUT_HEIGHT] - top), min(m, op[t.OUT_WIDTH] - left)


@kernel
def _transform_input(op, block, tile, d, ds, scratch):
    """A tile of a block of channels, zeros where it lies outside its picture, to `d`, `ds` between positions."""
    n, h, w = op[t.IN_TILE], op[t.HEIGHT], op[t.WIDTH]
    image, top, left, height, width = _find_outputs(op, tile)
    height, width = height + n - op[t.OUT_TILE], width + n - op[t.OUT_TILE]
    top, left = top - op[t.PADDING], left - op[t.PADDING]
    cell = op[t.CELL]
    s, ss = op[t.A] + block * op[t.A_PLANE] + ((image * h + top) * w + left) * cell, w * cell
    half = scratch + t.TILE
    down, across = which_transform(n, height, 0), which_transform(n, width, 0)
    if top < 0 or left < 0 or top + height > h or left + width > w:
        zero = broadcast(float32(0))
        first, last = min(max(-left, 0), width), max(min(width, w - left), 0)
        for y in range(height):
            line = scratch + y * LINE
            if top + y < 0 or top + y >= h:
                for x in range(width):
                    store(line + x * BLOCK, zero)
            else:
                for x in range(first):
                    store(line + x * BLOCK, zero)
                for x in range(first, last):
                    store(line + x * BLOCK, load_cell(s + y * ss + x * cell, cell))
                for x in range(last, width):
                    store(line + x * BLOCK, zero)
        transform_input_lines(down, width, scratch, LINE, BLOCK, half, LINE, BLOCK)
    elif cell == BLOCK:
        transform_input_lines(down, width, s, ss, BLOCK, half, LINE, BLOCK)
    else:
        transform_input_widening(down, width, s, ss, HALF, half, LINE, BLOCK)
    if cell == BLOCK:
        transform_input_lines(across, height, half, BLOCK, LINE, d, ds, n * ds)
    else:
        transform_input_narrowing(across, height, half, BLOCK, LINE, d, ds, n * ds)


@kernel
def _transform_output(op, slope, final, block, tile, s, ss, scratch):
    """A tile's outputs, in a block of channels, from its products at `s`, `ss` between positions."""
    n, more = op[t.IN_TILE], op[t.IN_TILE] - op[t.OUT_TILE]
    outputs = _find_outputs(op, tile)
    _, _, _, height, width = outputs
    down, across = which_transform(n, height + more, height), which_transform(n, width + more, width)
    transform_output_lines(down, width + more, s, n * ss, ss, scratch, LINE, BLOCK)
    store_outputs(op, slope, final, block, outputs, across, scratch, LINE)


@kernel
def store_outputs(op, slope, final, block, outputs, across, s, s_line):
    """A tile's outputs in a block of channels, their lines at `s` transformed by the case `across`, to C.

    `outputs` has their image, top row, left column and how many rows and columns there are. Where C is halved there is
    neither a residual nor a curve.
    """
    h, w, cell = op[t.OUT_HEIGHT], op[t.OUT_WIDTH], op[t.OUT_CELL]
    image, top, left, height, width = outputs
    if op[t.HALVED_HEIGHT] != 0:
        h, w = op[t.HALVED_HEIGHT], op[t.HALVED_WIDTH]
        top, left = top // 2, left // 2
    offset = block * op[t.C_PLANE] + ((image * h + top) * w + left) * cell
    residual = op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0
    bias, c = op[t.BIAS] + block * BLOCK, op[t.C] + offset
    rest = across, height, s, BLOCK, s_line, c, cell, w * cell, bias, slope, residual, final
    if op[t.HALVED_HEIGHT] != 0:
        if cell == BLOCK:
            halve_lines(*rest)
        else:
            halve_lines_narrow(*rest)
    elif cell == BLOCK:
        finish_lines(*rest)
    else:
        finish_lines_narrow(*rest)
    if op[t.CURVE] != 0:
        bend_cells(op[t.CURVE], c, width, height, w * cell, cell)


@kernel
def _group(op, group):
    """The numbers of a group's tiles, and how many there are."""
    _, count, _ = find_span(op, group, 0)
    return int64s(op[t.ORDER] + group * op[t.GROUP_SIZE] * 8), count


@kernel
def transform_input(op, scratch, share):
    """Blocked pictures at A to tiles at TILES; a block's group of tiles an item.

    Tiles lie as [block of channels][group][position][tile][LANES], `GROUP_SIZE` tiles in a group, `TILES_PLANE`
    between blocks, of `CELL`. `ORDER` has the tiles of each group. `scratch` holds two tiles.
    """
    ds = op[t.GROUP_SIZE] * op[t.CELL]
    queue = share_out(share, op[t.BLOCKS] * op[t.GROUPS])
    item = next_item(queue)
    while item >= 0:
        group, block = divmod(item, op[t.BLOCKS])
        tiles, count = _group(op, group)
        d = op[t.TILES] + block * op[t.TILES_PLANE] + group * op[t.IN_TILE] ** 2 * ds
        for i in range(count):
            _transform_input(op, block, tiles[i], d + i * op[t.CELL], ds, scratch)
        item = next_item(queue)


@kernel
def transform_output(op, slope, final, scratch, share):
    """Products at PRODUCTS to blocked pictures at C; a block's group of tiles an item, block by block.

    Products are laid out like tiles, `PRODUCTS_PLANE` between blocks.
    """
    ss = op[t.GROUP_SIZE] * BLOCK
    queue = share_out(share, op[t.OUT_BLOCKS] * op[t.GROUPS])
    item = next_item(queue)
    while item >= 0:
        block, group = divmod(item, op[t.GROUPS])
        tiles, count = _group(op, group)
        s = op[t.PRODUCTS] + block * op[t.PRODUCTS_PLANE] + group * op[t.IN_TILE] ** 2 * ss
        for i in range(count):
            _transform_output(op, slope, final, block, tiles[i], s + i * BLOCK, ss, scratch)
        item = next_item(queue)


@kernel
def convolve(op, slope, final, scratch, share):
    """All three steps for a group of tiles, an item, in memory that is the thread's own.

    TILES and PRODUCTS are thread 0's, `THREAD_BYTES` before the next one's; both lie as [block][position][tile of the
    group][LANES]. B is as for `multiply`, `TAPS` the offsets of blocks from TILES, RESIDUAL and C as for
    `transform_output`.
    """
    positions, thread = op[t.IN_TILE] ** 2, share.thread
    tiles, products = op[t.TILES] + thread * op[t.THREAD_BYTES], op[t.PRODUCTS] + thread * op[t.THREAD_BYTES]
    kinds = int64s(op[t.KINDS])
    ds, ss = op[t.GROUP_SIZE] * op[t.CELL], op[t.GROUP_SIZE] * BLOCK
    queue = share_out(share, op[t.GROUPS])
    group = next_item(queue)
    while group >= 0:
        numbers, count = _group(op, group)
        for block in range(op[t.BLOCKS]):
            for i in range(count):
                d = tiles + block * op[t.TILES_PLANE] + i * op[t.CELL]
                _transform_input(op, block, numbers[i], d, ds, scratch)
        for position in range(positions):
            span, of_kind, parts = find_span(op, group, kinds[position])
            for panel in range(op[t.PANELS]):
                columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
                b = op[t.B] + position * op[t.B_BATCH] + panel * op[t.B_PANEL]
                panel_bytes = op[t.TAP_COUNT] * op[t.DEPTH] * columns * BLOCK
                for part in range(parts):
                    first, rows = find_part(part, of_kind // parts, of_kind % parts)
                    first += span
                    tile, plane = tiles + position * ds + first * op[t.CELL], op[t.PRODUCTS_PLANE]
                    c = products + panel * COLUMNS * plane + position * ss + first * BLOCK
                    rest = (
                        rows, columns, tile, op[t.TAPS], op[t.TAP_COUNT], op[t.DEPTH], b,
                        b + panel_bytes + part * panel_bytes // parts, BLOCK // parts, c, plane, BLOCK,
                        0, float32(1), 0, float32(1),
                    )  # fmt: skip
                    if op[t.CELL] == BLOCK:
                        multiply_adjacent(BLOCK, *rest)
                    else:
                        multiply_adjacent_narrow(HALF, *rest)
        for block in range(op[t.OUT_BLOCKS]):
            for i in range(count):
                s = products + block * op[t.PRODUCTS_PLANE] + i * BLOCK
                _transform_output(op, slope, final, block, numbers[i], s, ss, scratch)
        group = next_item(queue)
