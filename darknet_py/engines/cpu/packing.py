"""Kernels from a weights file's order to the micro-kernel's, scaled by the batch normalization on the way."""

from __future__ import annotations

from numba import float32, njit

from . import table as t
from .microkernel import BLOCK, COLUMNS
from .sync import next_item
from .vector import LANES, broadcast, fma, load, load_scalar, store, store_scalar


@njit(nogil=True)
def pack(op, counter):
    """(out channels, channels, taps) at A to [panel][block of channels][tap][LANES][columns][LANES] at B.

    `A_BATCH`, `A_PLANE` and `A_ROW` are the strides of out channels, channels and taps; `SIZE`
    counts taps: cells of a kernel. RESIDUAL points to a factor for each output channel. Channels past the last
    are zero. A panel and block is an item.
    """
    channels, out_channels, taps = op[t.CHANNELS], op[t.OUT_CHANNELS], op[t.SIZE]
    blocks = (channels + LANES - 1) // LANES
    item = next_item(counter)
    while item < op[t.PANELS] * blocks:
        panel, block = divmod(item, blocks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        width = columns * LANES
        d = op[t.B] + panel * op[t.B_PANEL] + block * taps * LANES * width * 4
        for lane in range(width):
            oc = panel * COLUMNS * LANES + lane
            factor = load_scalar(op[t.RESIDUAL] + oc * 4) if oc < out_channels else float32(0)
            for k in range(LANES):
                c = block * LANES + k
                s = op[t.A] + oc * op[t.A_BATCH] + c * op[t.A_PLANE]
                there = c < channels and oc < out_channels
                for tap in range(taps):
                    value = load_scalar(s + tap * op[t.A_ROW]) * factor if there else float32(0)
                    store_scalar(d + ((tap * LANES + k) * width + lane) * 4, value)
        item = next_item(counter)


@njit(nogil=True)
def pack_winograd(op, scratch, counter):
    """(out channels, channels, 3, 3) at A to G g G^T, [position][panel][channel][columns][LANES] at B.

    G is the float32 matrix at TAPS, (`OUT_TILE` + 2) x 3. Otherwise as `pack`. `scratch` holds 33 registers.
    """
    channels, out_channels, n = op[t.CHANNELS], op[t.OUT_CHANNELS], op[t.OUT_TILE] + 2
    blocks = (channels + LANES - 1) // LANES
    half = scratch + 9 * BLOCK
    item = next_item(counter)
    while item < op[t.PANELS] * blocks:
        panel, block = divmod(item, blocks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        for k in range(LANES):
            c = block * LANES + k
            for column in range(columns):
                for lane in range(LANES):
                    oc = (panel * COLUMNS + column) * LANES + lane
                    there = c < channels and oc < out_channels
                    factor = load_scalar(op[t.RESIDUAL] + oc * 4) if there else float32(0)
                    s = op[t.A] + (oc * channels + c) * 36
                    for tap in range(9):
                        value = load_scalar(s + tap * 4) * factor if there else float32(0)
                        store_scalar(scratch + tap * BLOCK + lane * 4, value)
                for i in range(n):
                    g0, g1, g2 = _row(op[t.TAPS] + i * 12)
                    for x in range(3):
                        total = load(scratch + x * BLOCK) * g0
                        total = fma(load(scratch + (3 + x) * BLOCK), g1, total)
                        total = fma(load(scratch + (6 + x) * BLOCK), g2, total)
                        store(half + (i * 3 + x) * BLOCK, total)
                d = op[t.B] + panel * op[t.B_PANEL] + (c * columns + column) * BLOCK
                for j in range(n):
                    g0, g1, g2 = _row(op[t.TAPS] + j * 12)
                    for i in range(n):
                        s = half + i * 3 * BLOCK
                        total = fma(load(s + 2 * BLOCK), g2, fma(load(s + BLOCK), g1, load(s) * g0))
                        store(d + (i * n + j) * op[t.B_BATCH], total)
        item = next_item(counter)


@njit(nogil=True)
def _row(address):
    """A row of G, each value in a register."""
    return (
        broadcast(load_scalar(address)),
        broadcast(load_scalar(address + 4)),
        broadcast(load_scalar(address + 8)),
    )
