"""Weights from a weights file's order to the micro-kernel's, scaled by the batch normalization on the way."""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK, COLUMNS, LANES
from . import kernel
from .sync import next_item, share_out
from .vector import broadcast, fma, load, load_scalar, store, store_scalar


@kernel
def pack(op, share):
    """(out channels, channels, taps) at WEIGHTS to [panel][block of channels][tap][LANES][columns][LANES] at B.

    FACTOR points to a factor for each output channel. Channels past the last are zero. A panel and block is an item.
    """
    channels, out_channels, taps = op[t.CHANNELS], op[t.OUT_CHANNELS], op[t.TAP_COUNT]
    blocks = (channels + LANES - 1) // LANES
    queue = share_out(share, op[t.PANELS] * blocks)
    item = next_item(queue)
    while item >= 0:
        panel, block = divmod(item, blocks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        width = columns * LANES
        d = op[t.B] + panel * op[t.B_PANEL] + block * taps * LANES * width * 4
        for lane in range(width):
            oc = panel * COLUMNS * LANES + lane
            factor = load_scalar(op[t.FACTOR] + oc * 4) if oc < out_channels else float32(0)
            for k in range(LANES):
                c = block * LANES + k
                s = op[t.WEIGHTS] + oc * op[t.FILTER_STRIDE] + c * op[t.CHANNEL_STRIDE]
                there = c < channels and oc < out_channels
                for tap in range(taps):
                    value = load_scalar(s + tap * op[t.TAP_STRIDE]) * factor if there else float32(0)
                    store_scalar(d + ((tap * LANES + k) * width + lane) * 4, value)
        item = next_item(queue)


@kernel
def pack_winograd(op, scratch, share):
    """(out channels, channels, r, r) at WEIGHTS to G g G^T, [position][panel][channel][columns][LANES] at B.

    G is the float32 matrix at TRANSFORM, `IN_TILE` x r; `SIZE` is r. Otherwise as `pack`. `scratch` holds
    r * r + r * `IN_TILE` registers.
    """
    channels, out_channels, n, r = op[t.CHANNELS], op[t.OUT_CHANNELS], op[t.IN_TILE], op[t.SIZE]
    blocks = (channels + LANES - 1) // LANES
    half = scratch + r * r * BLOCK
    queue = share_out(share, op[t.PANELS] * blocks)
    item = next_item(queue)
    while item >= 0:
        panel, block = divmod(item, blocks)
        columns = op[t.LAST_COLUMNS] if panel == op[t.PANELS] - 1 else COLUMNS
        for k in range(LANES):
            c = block * LANES + k
            for column in range(columns):
                for lane in range(LANES):
                    oc = (panel * COLUMNS + column) * LANES + lane
                    there = c < channels and oc < out_channels
                    factor = load_scalar(op[t.FACTOR] + oc * 4) if there else float32(0)
                    s = op[t.WEIGHTS] + oc * op[t.FILTER_STRIDE] + c * op[t.CHANNEL_STRIDE]
                    for tap in range(r * r):
                        value = load_scalar(s + tap * op[t.TAP_STRIDE]) * factor if there else float32(0)
                        store_scalar(scratch + tap * BLOCK + lane * 4, value)
                for i in range(n):
                    for x in range(r):
                        total = _dot(op[t.TRANSFORM] + i * r * 4, scratch + x * BLOCK, r * BLOCK, r)
                        store(half + (i * r + x) * BLOCK, total)
                d = op[t.B] + panel * op[t.B_PANEL] + (c * columns + column) * BLOCK
                for j in range(n):
                    for i in range(n):
                        total = _dot(op[t.TRANSFORM] + j * r * 4, half + i * r * BLOCK, BLOCK, r)
                        store(d + (i * n + j) * op[t.B_BATCH], total)
        item = next_item(queue)


@kernel
def _dot(row, s, ss, count):
    """`count` scalars at `row` times registers at `s`, `ss` apart, summed."""
    total = load(s) * broadcast(load_scalar(row))
    for i in range(1, count):
        total = fma(load(s + i * ss), broadcast(load_scalar(row + i * 4)), total)
    return total
