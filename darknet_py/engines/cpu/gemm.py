"""Products of pixels and kernels: convolutions, connected layers and the middle of Winograd's, all alike."""

from __future__ import annotations

from numba import njit

from .microkernel import BLOCK, COLUMNS, ROWS, multiply_tile
from .sync import next_item
from .table import (
    A, A_BATCH, A_ROW, B, B_BATCH, B_PANEL, BATCHES, BIAS, BIAS_BATCH, C, C_BATCH, C_PLANE, C_ROW, CHUNK, DEPTH, LAST_COLUMNS,
    PANELS, PIXEL, PIXELS, RESIDUAL, ROW_COUNT, TAP_COUNT, TAPS,
)  # fmt: skip

# Bytes between the pixels of a tile that the micro-kernel is compiled for: neighbours, every other one,
# and the unblocked pixels of pictures (3 channels) at strides 1, 2 and 4.
PIXEL_STRIDES = (BLOCK, 2 * BLOCK, 12, 24, 48)
S0, S1, S2, S3, S4 = PIXEL_STRIDES


@njit(nogil=True)
def multiply(op, slope, final, counter):
    """Run a `GEMM` operation: for each batch, panel of output channels and row of pixels, tile by tile.

    An item of work is a panel and a chunk of tiles; tiles of a row are as equal as can be.
    """
    tiles = (op[PIXELS] + ROWS - 1) // ROWS
    small, larger = op[PIXELS] // tiles, op[PIXELS] % tiles
    chunk = op[CHUNK]
    chunks = (op[ROW_COUNT] * tiles + chunk - 1) // chunk
    items = op[BATCHES] * op[PANELS] * chunks
    item = next_item(counter)
    while item < items:
        batch, left = divmod(item, op[PANELS] * chunks)
        panel, first = divmod(left, chunks)
        columns = op[LAST_COLUMNS] if panel == op[PANELS] - 1 else COLUMNS
        a_batch = op[A] + batch * op[A_BATCH]
        b = op[B] + batch * op[B_BATCH] + panel * op[B_PANEL]
        to_c = batch * op[C_BATCH] + panel * COLUMNS * op[C_PLANE]
        bias = op[BIAS] + batch * op[BIAS_BATCH] + panel * COLUMNS * BLOCK
        for tile in range(first * chunk, min(first * chunk + chunk, op[ROW_COUNT] * tiles)):
            row, part = divmod(tile, tiles)
            start = part * small + min(part, larger)
            count = small + (1 if part < larger else 0)
            a = a_batch + row * op[A_ROW] + start * op[PIXEL]
            offset = to_c + row * op[C_ROW] + start * BLOCK
            c = op[C] + offset
            residual = op[RESIDUAL] + offset if op[RESIDUAL] != 0 else 0
            pixel, taps, tap_count, depth, plane = op[PIXEL], op[TAPS], op[TAP_COUNT], op[DEPTH], op[C_PLANE]
            if pixel == S0:
                multiply_tile(S0, count, columns, a, taps, tap_count, depth, b, c, plane, bias, slope, residual, final)
            elif pixel == S1:
                multiply_tile(S1, count, columns, a, taps, tap_count, depth, b, c, plane, bias, slope, residual, final)
            elif pixel == S2:
                multiply_tile(S2, count, columns, a, taps, tap_count, depth, b, c, plane, bias, slope, residual, final)
            elif pixel == S3:
                multiply_tile(S3, count, columns, a, taps, tap_count, depth, b, c, plane, bias, slope, residual, final)
            else:
                multiply_tile(S4, count, columns, a, taps, tap_count, depth, b, c, plane, bias, slope, residual, final)
        item = next_item(counter)
