"""Winograd's convolution: F(m x m, r x r) for the lines that `toom.POINTS` has.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015. A tile of n x n inputs,
n = m + r - 1, gives m x m outputs. Where a picture ends before its last tiles do, these are smaller: they have only the
first few positions in each direction, those of a smaller m.
"""

from __future__ import annotations

from numba import float32

from .. import operations as o
from .. import table as t
from ..isa import BLOCK, COLUMNS, HALF
from ..toom import MOST_POINTS
from . import kernel
from .bending import bend_cells
from .cells import load_cell
from .gemm import find_part, find_span, find_weights
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

LINE = MOST_POINTS * BLOCK  # bytes of a tile's line in scratch


@kernel
def _find_outputs(op: o.WinogradInput | o.WinogradOutput | o.Winograd, tile):
    """Image, top row and left column of the outputs of tile number `tile`, and how many rows and columns there are."""
    row, column = divmod(tile, op.tile_columns)
    image, tile_row = divmod(row, op.tile_rows)
    m = op.out_tile
    top, left = tile_row * m, column * m
    return image, top, left, min(m, op.out_height - top), min(m, op.out_width - left)


@kernel
def _transform_input(op: o.WinogradInput | o.Winograd, block, tile, d, ds, scratch):
    """Transform a tile of a block of channels, with zeros outside the picture, to `d`, with `ds` between positions."""
    n, h, w = op.in_tile, op.height, op.width
    image, top, left, height, width = _find_outputs(op, tile)
    height, width = height + n - op.out_tile, width + n - op.out_tile
    cell, stride, origin = op.cell, op.stride, int64s(op.origins + block * 24)
    top, left = top * stride + origin[1], left * stride + origin[2]
    s, ss, step = op.a + origin[0] + ((image * h + top) * w + left) * cell, stride * w * cell, stride * cell
    half = scratch + t.TILE
    down, across = which_transform(n, height, 0), which_transform(n, width, 0)
    if top < 0 or left < 0 or top + (height - 1) * stride >= h or left + (width - 1) * stride >= w:
        zero = broadcast(float32(0))
        first = min(max((stride - 1 - left) // stride, 0), width)
        last = max(min((w - left + stride - 1) // stride, width), 0)
        for y in range(height):
            line = scratch + y * LINE
            if top + y * stride < 0 or top + y * stride >= h:
                for x in range(width):
                    store(line + x * BLOCK, zero)
            else:
                for x in range(first):
                    store(line + x * BLOCK, zero)
                for x in range(first, last):
                    store(line + x * BLOCK, load_cell(s + y * ss + x * step, cell))
                for x in range(last, width):
                    store(line + x * BLOCK, zero)
        transform_input_lines(down, width, scratch, LINE, BLOCK, half, LINE, BLOCK)
    elif cell == BLOCK:
        transform_input_lines(down, width, s, ss, step, half, LINE, BLOCK)
    else:
        transform_input_widening(down, width, s, ss, step, half, LINE, BLOCK)
    if cell == BLOCK:
        transform_input_lines(across, height, half, BLOCK, LINE, d, ds, n * ds)
    else:
        transform_input_narrowing(across, height, half, BLOCK, LINE, d, ds, n * ds)


@kernel
def _transform_output(op: o.WinogradOutput | o.Winograd, slope, final, block, tile, s, ss, scratch):
    """Compute a tile's outputs, in a block of channels, from its products at `s`, with `ss` between positions."""
    n, more = op.in_tile, op.in_tile - op.out_tile
    outputs = _find_outputs(op, tile)
    _, _, _, height, width = outputs
    down, across = which_transform(n, height + more, height), which_transform(n, width + more, width)
    transform_output_lines(down, width + more, s, n * ss, ss, scratch, LINE, BLOCK)
    store_outputs(op, slope, final, block, outputs, across, scratch, LINE)


@kernel
def store_outputs(
    op: o.WinogradOutput | o.Winograd | o.PlanarWinograd, slope, final, block, outputs, across, s, s_line
):
    """Store a tile's outputs in a block of channels at C: their lines at `s`, transformed by the case `across`.

    `outputs` has their image, top row, left column and how many rows and columns there are. Where C is halved there is
    neither a residual nor a curve.
    """
    h, w, cell = op.out_height, op.out_width, op.out_cell
    image, top, left, height, width = outputs
    if op.halved_height != 0:
        h, w = op.halved_height, op.halved_width
        top, left = top // 2, left // 2
    offset = block * op.c_plane + ((image * h + top) * w + left) * cell
    residual = op.residual + offset if op.residual != 0 else 0
    bias, c = op.bias + block * BLOCK, op.c + offset
    rest = across, height, s, BLOCK, s_line, c, cell, w * cell, bias, slope, residual, final
    if op.halved_height != 0:
        if cell == BLOCK:
            halve_lines(*rest)
        else:
            halve_lines_narrow(*rest)
    elif cell == BLOCK:
        finish_lines(*rest)
    else:
        finish_lines_narrow(*rest)
    if op.curve != 0:
        bend_cells(op.curve, c, width, height, w * cell, cell)


@kernel
def _group(op: o.WinogradInput | o.WinogradOutput | o.Winograd, group):
    """The numbers of a group's tiles, and how many there are."""
    _, count, _ = find_span(op, group, 0)
    return int64s(op.order + group * op.group_size * 8), count


@kernel
def transform_input(op: o.WinogradInput, scratch, share):
    """Blocked pictures at A to tiles at TILES; an item is a block's group of tiles.

    Tiles are stored as [block of channels][group][position][tile][LANES], with `group_size` tiles in a group,
    `tiles_plane` between blocks, and cells of `cell` bytes. `order` has the tiles of each group. `scratch` holds two
    tiles.
    """
    ds = op.group_size * op.cell
    queue = share_out(share, op.blocks * op.groups)
    item = next_item(queue)
    while item >= 0:
        group, block = divmod(item, op.blocks)
        tiles, count = _group(op, group)
        d = op.tiles + block * op.tiles_plane + group * op.in_tile**2 * ds
        for i in range(count):
            _transform_input(op, block, tiles[i], d + i * op.cell, ds, scratch)
        item = next_item(queue)


@kernel
def transform_output(op: o.WinogradOutput, slope, final, scratch, share):
    """Products at PRODUCTS to blocked pictures at C; an item is a block's group of tiles, and blocks follow each other.

    Products are laid out like tiles, with `products_plane` between blocks.
    """
    ss = op.group_size * BLOCK
    queue = share_out(share, op.out_blocks * op.groups)
    item = next_item(queue)
    while item >= 0:
        block, group = divmod(item, op.groups)
        tiles, count = _group(op, group)
        s = op.products + block * op.products_plane + group * op.in_tile**2 * ss
        for i in range(count):
            _transform_output(op, slope, final, block, tiles[i], s + i * BLOCK, ss, scratch)
        item = next_item(queue)


@kernel
def convolve(op: o.Winograd, slope, final, scratch, share):
    """Run all three steps in the thread's own memory; an item is a group of tiles of a batch.

    A batch has its own `blocks` and `out_blocks`, and positions of B. TILES and PRODUCTS are thread 0's, `thread_bytes`
    before the next thread's; both are [block][position][tile of the group][LANES]. B is as for `multiply`, `taps` are
    the offsets of blocks from TILES, RESIDUAL and C are as for `transform_output`.
    """
    positions, thread = op.in_tile**2, share.thread
    tiles, products = op.tiles + thread * op.thread_bytes, op.products + thread * op.thread_bytes
    kinds = int64s(op.kinds)
    ds, ss = op.group_size * op.cell, op.group_size * BLOCK
    queue = share_out(share, op.groups * op.batches)
    item = next_item(queue)
    while item >= 0:
        group, batch = divmod(item, op.batches)
        numbers, count = _group(op, group)
        for block in range(op.blocks):
            for i in range(count):
                d = tiles + block * op.tiles_plane + i * op.cell
                _transform_input(op, batch * op.blocks + block, numbers[i], d, ds, scratch)
        for position in range(positions):
            span, of_kind, parts = find_span(op, group, kinds[position])
            for panel in range(op.panels):
                b, columns, taps, tap_count = find_weights(op, batch * positions + position, panel)
                panel_bytes = tap_count * op.depth * columns * BLOCK
                for part in range(parts):
                    first, rows = find_part(part, of_kind // parts, of_kind % parts)
                    first += span
                    tile, plane = tiles + position * ds + first * op.cell, op.products_plane
                    c = products + panel * COLUMNS * plane + position * ss + first * BLOCK
                    rest = (
                        rows, columns, tile, taps, tap_count, op.depth, b,
                        b + panel_bytes + part * panel_bytes // parts, BLOCK // parts, c, plane, BLOCK,
                        0, float32(1), 0, float32(1),
                    )  # fmt: skip
                    if op.cell == BLOCK:
                        multiply_adjacent(BLOCK, *rest)
                    else:
                        multiply_adjacent_narrow(HALF, *rest)
        for block in range(op.out_blocks):
            for i in range(count):
                s = products + block * op.products_plane + i * BLOCK
                _transform_output(op, slope, final, batch * op.out_blocks + block, numbers[i], s, ss, scratch)
        item = next_item(queue)
