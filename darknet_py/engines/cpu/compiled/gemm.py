"""Products of pixels and weights: convolutions, connected layers and the middle of Winograd's, all alike."""

from __future__ import annotations

from .. import table as t
from ..isa import BLOCK, COLUMNS, HALF, ROWS, UNROLL
from . import kernel
from .bending import bend_cells
from .microkernel import multiply_adjacent, multiply_adjacent_narrow, multiply_strided, multiply_strided_narrow
from .sync import int64s, next_item, share_out

AHEAD = 2048  # bytes of weights fetched ahead: the processor's own prefetching ends with each page


@kernel
def multiply(op, slope, final, share):
    """Run a `GEMM` operation: for each batch, panel of output channels and row of pixels, tile by tile.

    An item of work is a panel and a chunk of tiles; tiles of a row are as equal as can be. `BY_PIXELS`, all panels of
    a chunk come one after another; else, all chunks of a panel. With `SPANS` a batch has its kind's part of each row,
    and all batches of a panel come one after another: `transform_output` finds its blocks' products on the same core.
    """
    tiles = (op[t.PIXELS] + ROWS - 1) // ROWS
    small, larger = divmod(op[t.PIXELS], tiles)
    chunk = op[t.CHUNK]
    chunks = (op[t.ROW_COUNT] * tiles + chunk - 1) // chunk
    queue = share_out(share, op[t.BATCHES] * op[t.PANELS] * chunks)
    item = next_item(queue)
    while item >= 0:
        following = next_item(queue) if op[t.CLAIM] else item
        batch, panel, first = _find(op, item, chunks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        a_batch = op[t.A] + batch * op[t.A_BATCH]
        b = op[t.B] + batch * op[t.B_BATCH] + panel * op[t.B_PANEL]
        to_c = batch * op[t.C_BATCH] + panel * COLUMNS * op[t.C_PLANE]
        bias = op[t.BIAS] + batch * op[t.BIAS_BATCH] + panel * COLUMNS * BLOCK if op[t.BIAS] != 0 else 0
        last = min(first * chunk + chunk, op[t.ROW_COUNT] * tiles)
        ahead, step, skip = b + AHEAD, BLOCK, 0
        if op[t.CLAIM]:
            next_batch, next_panel, _ = _find(op, max(following, 0), chunks)
            ahead = op[t.B] + next_batch * op[t.B_BATCH] + next_panel * op[t.B_PANEL]
            step = BLOCK // _count_tiles(op, batch, first * chunk, last, tiles)
            skip = op[t.TAP_COUNT] * op[t.DEPTH] * columns * step
        for tile in range(first * chunk, last):
            if op[t.EARLY] != 0 and tile == first * chunk + 1:
                registers = op[t.TAP_COUNT] * op[t.DEPTH] * columns
                ahead = op[t.EARLY] + item * op[t.EARLY_BYTES]
                step = min(BLOCK, op[t.EARLY_BYTES] // ((last - tile) * registers) + 1)
                skip = registers * step
            row, part = divmod(tile, tiles)
            start, count = find_part(part, small, larger)
            if op[t.SPANS] != 0:
                span, of_kind, parts = find_span(op, row, int64s(op[t.KINDS])[batch])
                if part >= parts:
                    continue
                start, count = find_part(part, of_kind // parts, of_kind % parts)
                start += span
            a = a_batch + row * op[t.A_ROW] + start * op[t.PIXEL]
            offset = to_c + row * op[t.C_ROW] + start * op[t.OUT_CELL]
            c = op[t.C] + offset
            residual = op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0
            rest = (
                a, op[t.TAPS], op[t.TAP_COUNT], op[t.DEPTH], b, ahead, step, c, op[t.C_PLANE], op[t.OUT_CELL],
                bias, slope, residual, final,
            )  # fmt: skip
            if op[t.CELL] == HALF:
                if op[t.PIXEL] == HALF:
                    multiply_adjacent_narrow(HALF, count, columns, *rest)
                else:
                    multiply_strided_narrow(op[t.PIXEL], count, columns, *rest)
            elif op[t.PIXEL] == BLOCK and op[t.DEPTH] % UNROLL == 0:
                multiply_adjacent(BLOCK, count, columns, *rest)
            else:
                multiply_strided(op[t.PIXEL], count, columns, *rest)
            if op[t.CURVE] != 0:  # while the first cache has the tile
                bend_cells(op[t.CURVE], c, count, columns, op[t.C_PLANE], op[t.OUT_CELL])
            ahead += skip
        item = following if op[t.CLAIM] else next_item(queue)


@kernel
def find_span(op, group, kind):
    """The first of a group's Winograd tiles that have positions of a kind, how many do, and in how many parts."""
    span = int64s(op[t.SPANS] + (group * t.KIND_COUNT + kind) * 16)
    return span[0], span[1], (span[1] + ROWS - 1) // ROWS


@kernel
def find_part(part, small, larger):
    """The first of a part, and how many there are: of all parts the first `larger` have one more than `small`."""
    return part * small + min(part, larger), small + (1 if part < larger else 0)


@kernel
def _count_tiles(op, batch, first, last, tiles):
    """How many of an item's tiles have rows; at least 1."""
    if op[t.SPANS] == 0:
        return last - first
    found = 0
    for tile in range(first, last):
        _, _, parts = find_span(op, tile // tiles, int64s(op[t.KINDS])[batch])
        found += 1 if tile % tiles < parts else 0
    return max(found, 1)


@kernel
def _find(op, item, chunks):
    """An item's batch, panel and chunk."""
    panels = op[t.BATCHES] * op[t.PANELS]
    if op[t.BY_PIXELS]:
        chunk, number = divmod(item, panels)
    else:
        number, chunk = divmod(item, chunks)
    if op[t.SPANS] != 0:
        panel, batch = divmod(number, op[t.BATCHES])
    else:
        batch, panel = divmod(number, op[t.PANELS])
    return batch, panel, chunk
