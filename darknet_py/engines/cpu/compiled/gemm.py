"""Products of pixels and weights: convolutions, connected layers and the middle step of Winograd's, all alike."""

from __future__ import annotations

from .. import operations as o
from .. import table as t
from ..isa import BLOCK, COLUMNS, HALF, ROWS, UNROLL
from . import kernel
from .bending import bend_cells
from .microkernel import multiply_adjacent, multiply_adjacent_narrow, multiply_strided, multiply_strided_narrow
from .sync import int64s, next_item, share_out

AHEAD = 2048  # bytes of weights fetched ahead: the processor's own prefetching ends with each page


@kernel
def multiply(op: o.Gemm, slope, final, share):
    """Run a `GEMM` operation: for each batch, panel of output channels and row of pixels, tile by tile.

    An item of work is a panel and a chunk of tiles; tiles of a row are as equal as possible. With `by_pixels` all
    panels of a chunk come one after another; otherwise all chunks of a panel. With `spans` a batch has its kind's part
    of each row, and all batches of a panel come one after another: `transform_output` finds its blocks' products on the
    same core.
    """
    tiles = (op.pixels + ROWS - 1) // ROWS
    small, larger = divmod(op.pixels, tiles)
    chunk = op.chunk
    chunks = (op.row_count * tiles + chunk - 1) // chunk
    queue = share_out(share, op.batches * op.panels * chunks)
    item = next_item(queue)
    while item >= 0:
        following = next_item(queue) if op.claim else item
        batch, panel, first = _find(op, item, chunks)
        b, columns, taps, tap_count = find_weights(op, batch, panel)
        a_batch = op.a + batch * op.a_batch
        to_c = batch * op.c_batch + panel * COLUMNS * op.c_plane
        bias = op.bias + batch * op.bias_batch + panel * COLUMNS * BLOCK if op.bias != 0 else 0
        last = min(first * chunk + chunk, op.row_count * tiles)
        ahead, step, skip = b + AHEAD, BLOCK, 0
        if op.claim:
            next_batch, next_panel, _ = _find(op, max(following, 0), chunks)
            ahead, _, _, _ = find_weights(op, next_batch, next_panel)
            step = BLOCK // _count_tiles(op, batch, first * chunk, last, tiles)
            skip = tap_count * op.depth * columns * step
        for tile in range(first * chunk, last):
            if op.early != 0 and tile == first * chunk + 1:
                registers = tap_count * op.depth * columns
                ahead = op.early + item * op.early_bytes
                step = min(BLOCK, op.early_bytes // ((last - tile) * registers) + 1)
                skip = registers * step
            row, part = divmod(tile, tiles)
            start, count = find_part(part, small, larger)
            if op.spans != 0:
                span, of_kind, parts = find_span(op, row, int64s(op.kinds)[batch])
                if part >= parts:
                    continue
                start, count = find_part(part, of_kind // parts, of_kind % parts)
                start += span
            a = a_batch + row * op.a_row + start * op.pixel
            offset = to_c + row * op.c_row + start * op.out_cell
            c = op.c + offset
            residual = op.residual + offset if op.residual != 0 else 0
            rest = (
                a, taps, tap_count, op.depth, b, ahead, step, c, op.c_plane, op.out_cell,
                bias, slope, residual, final,
            )  # fmt: skip
            if op.cell == HALF:
                if op.pixel == HALF:
                    multiply_adjacent_narrow(HALF, count, columns, *rest)
                else:
                    multiply_strided_narrow(op.pixel, count, columns, *rest)
            elif op.pixel == BLOCK and op.depth % UNROLL == 0:
                multiply_adjacent(BLOCK, count, columns, *rest)
            else:
                multiply_strided(op.pixel, count, columns, *rest)
            if op.curve != 0:  # while the tile is in the L1 cache
                bend_cells(op.curve, c, count, columns, op.c_plane, op.out_cell)
            ahead += skip
        item = following if op.claim else next_item(queue)


@kernel
def find_weights(op: o.Gemm | o.Winograd, batch, panel):
    """Where a panel of a batch begins, its columns, where its taps' offsets in A are, and how many taps there are."""
    first, count = 0, op.tap_count
    if op.tap_ranges != 0:
        taps = int64s(op.tap_ranges + batch * 16)
        first, count = taps[0], taps[1]
    columns = op.last_columns if panel == op.panels - 1 else COLUMNS
    b = op.b + batch * op.b_batch + panel * op.b_panel + first * op.depth * columns * BLOCK
    return b, columns, op.taps + first * 8, count


@kernel
def find_span(op: o.Gemm | o.WinogradInput | o.WinogradOutput | o.Winograd, group, kind):
    """The first of a group's Winograd tiles that have positions of a kind, how many do, and in how many parts."""
    span = int64s(op.spans + (group * t.KIND_COUNT + kind) * 16)
    return span[0], span[1], (span[1] + ROWS - 1) // ROWS


@kernel
def find_part(part, small, larger):
    """Where a part begins, and how many are in it: `small`, and one more in the first `larger` parts."""
    return part * small + min(part, larger), small + (1 if part < larger else 0)


@kernel
def _count_tiles(op: o.Gemm, batch, first, last, tiles):
    """How many of an item's tiles have rows; at least 1."""
    if op.spans == 0:
        return last - first
    found = 0
    for tile in range(first, last):
        _, _, parts = find_span(op, tile // tiles, int64s(op.kinds)[batch])
        found += 1 if tile % tiles < parts else 0
    return max(found, 1)


@kernel
def _find(op: o.Gemm, item, chunks):
    """An item's batch, panel and chunk."""
    panels = op.batches * op.panels
    if op.by_pixels:
        chunk, number = divmod(item, panels)
    else:
        number, chunk = divmod(item, chunks)
    if op.spans != 0:
        panel, batch = divmod(number, op.batches)
    else:
        batch, panel = divmod(number, op.panels)
    return batch, panel, chunk
