"""Products of pixels and kernels: convolutions, connected layers and the middle of Winograd's, all alike."""

from __future__ import annotations

from numba import njit

from . import table as t
from .microkernel import BLOCK, COLUMNS, ROWS, multiply_adjacent, multiply_strided
from .sync import next_item


@njit(nogil=True)
def multiply(op, slope, final, counter):
    """Run a `GEMM` operation: for each batch, panel of output channels and row of pixels, tile by tile.

    An item of work is a panel and a chunk of tiles; tiles of a row are as equal as can be.
    """
    tiles = (op[t.PIXELS] + ROWS - 1) // ROWS
    small, larger = op[t.PIXELS] // tiles, op[t.PIXELS] % tiles
    chunk = op[t.CHUNK]
    chunks = (op[t.ROW_COUNT] * tiles + chunk - 1) // chunk
    items = op[t.BATCHES] * op[t.PANELS] * chunks
    item = next_item(counter)
    while item < items:
        batch, left = divmod(item, op[t.PANELS] * chunks)
        panel, first = divmod(left, chunks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        a_batch = op[t.A] + batch * op[t.A_BATCH]
        b = op[t.B] + batch * op[t.B_BATCH] + panel * op[t.B_PANEL]
        to_c = batch * op[t.C_BATCH] + panel * COLUMNS * op[t.C_PLANE]
        bias = op[t.BIAS] + batch * op[t.BIAS_BATCH] + panel * COLUMNS * BLOCK
        for tile in range(first * chunk, min(first * chunk + chunk, op[t.ROW_COUNT] * tiles)):
            row, part = divmod(tile, tiles)
            start = part * small + min(part, larger)
            count = small + (1 if part < larger else 0)
            a = a_batch + row * op[t.A_ROW] + start * op[t.PIXEL]
            offset = to_c + row * op[t.C_ROW] + start * BLOCK
            c = op[t.C] + offset
            residual = op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0
            taps, count_taps, depth, plane = op[t.TAPS], op[t.TAP_COUNT], op[t.DEPTH], op[t.C_PLANE]
            product = a, taps, count_taps, depth, b, c, plane, bias, slope, residual, final
            if op[t.PIXEL] == BLOCK:
                multiply_adjacent(BLOCK, count, columns, *product)
            else:
                multiply_strided(op[t.PIXEL], count, columns, *product)
        item = next_item(counter)
