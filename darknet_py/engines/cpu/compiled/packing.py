"""Weights from a weights file's order to the micro-kernel's, scaled by the batch normalization on the way."""

from __future__ import annotations

from numba import float32

from .. import operations as o
from ..isa import BLOCK, COLUMNS, LANES
from . import kernel
from .sync import next_item, share_out
from .vector import broadcast, fma, load, load_scalar, store, store_scalar


@kernel
def pack(op: o.Pack, share):
    """(out channels, channels, taps) at WEIGHTS to [panel][block of channels][tap][LANES][columns][LANES] at B.

    FACTOR points to a factor for each output channel. Channels past the last are zero. An item is a panel and a block.
    """
    channels, out_channels, taps = op.channels, op.out_channels, op.tap_count
    blocks = (channels + LANES - 1) // LANES
    queue = share_out(share, op.panels * blocks)
    item = next_item(queue)
    while item >= 0:
        panel, block = divmod(item, blocks)
        columns = op.last_columns if panel == op.panels - 1 else COLUMNS
        width = columns * LANES
        d = op.b + panel * op.b_panel + block * taps * LANES * width * 4
        for lane in range(width):
            oc = panel * COLUMNS * LANES + lane
            factor = load_scalar(op.factor + oc * 4) if oc < out_channels else float32(0)
            for k in range(LANES):
                c = block * LANES + k
                s = op.weights + oc * op.filter_stride + c * op.channel_stride
                there = c < channels and oc < out_channels
                for tap in range(taps):
                    value = load_scalar(s + tap * op.tap_stride) * factor if there else float32(0)
                    store_scalar(d + ((tap * LANES + k) * width + lane) * 4, value)
        item = next_item(queue)


@kernel
def pack_winograd(op: o.PackWinograd, scratch, share):
    """(out channels, channels, rows, columns) at WEIGHTS to G g G^T, [position][panel][channel][columns][LANES] at B.

    G is the float32 matrix at TRANSFORM, `in_tile` x r, g the window with zeros up to r x r; `size` is r. Otherwise as
    `pack`. `scratch` holds r * r + r * `in_tile` registers.
    """
    channels, out_channels, n, r = op.channels, op.out_channels, op.in_tile, op.size
    blocks = (channels + LANES - 1) // LANES
    half = scratch + r * r * BLOCK
    queue = share_out(share, op.panels * blocks)
    item = next_item(queue)
    while item >= 0:
        panel, block = divmod(item, blocks)
        columns = op.last_columns if panel == op.panels - 1 else COLUMNS
        for k in range(LANES):
            c = block * LANES + k
            for column in range(columns):
                for lane in range(LANES):
                    oc = (panel * COLUMNS + column) * LANES + lane
                    there = c < channels and oc < out_channels
                    factor = load_scalar(op.factor + oc * 4) if there else float32(0)
                    s = op.weights + oc * op.filter_stride + c * op.channel_stride
                    for tap in range(r * r):
                        y, x = divmod(tap, r)
                        value = float32(0)
                        if there and y < op.tap_rows and x < op.tap_columns:
                            value = load_scalar(s + y * op.row_stride + x * op.tap_stride) * factor
                        store_scalar(scratch + tap * BLOCK + lane * 4, value)
                for i in range(n):
                    for x in range(r):
                        total = _dot(op.transform + i * r * 4, scratch + x * BLOCK, r * BLOCK, r)
                        store(half + (i * r + x) * BLOCK, total)
                d = op.b + panel * op.b_panel + ((op.first_channel + c) * columns + column) * BLOCK
                for j in range(n):
                    for i in range(n):
                        total = _dot(op.transform + j * r * 4, half + i * r * BLOCK, BLOCK, r)
                        store(d + (i * n + j) * op.b_batch, total)
        item = next_item(queue)


@kernel
def _dot(row, s, ss, count):
    """`count` scalars at `row` times registers at `s`, `ss` apart, summed."""
    total = load(s) * broadcast(load_scalar(row))
    for i in range(1, count):
        total = fma(load(s + i * ss), broadcast(load_scalar(row + i * 4)), total)
    return total
