"""Gradients of weights: sums of products over pixels and pictures, brought into a weights file's order."""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .accumulate import MOST_ROWS, accumulate
from .sync import int64s, next_item, share_out
from .vector import broadcast, load, load_scalar, store, store_scalar


@kernel
def sum_products(op, share):
    """Add to C the products of A's numbers and B's registers, summed over pixels and pictures; see the operation.

    An item of work is a part of the pictures, some groups of B's columns and a block of A's rows.
    """
    blocks, columns, depth, taps = op[t.BLOCKS], op[t.OUT_BLOCKS], op[t.DEPTH], op[t.TAP_COUNT]
    groups = (columns + t.GROUP - 1) // t.GROUP
    stretches = (groups + op[t.GROUPS] - 1) // op[t.GROUPS]
    offsets = int64s(op[t.TAPS])
    zero = broadcast(float32(0))
    queue = share_out(share, op[t.PARTS] * stretches * blocks)
    item = next_item(queue)
    while item >= 0:
        left, block = divmod(item, blocks)
        part, stretch = divmod(left, stretches)
        first_group, last_group = stretch * op[t.GROUPS], min(groups, (stretch + 1) * op[t.GROUPS])
        rows = min(depth, op[t.ROW_COUNT] - block * depth)
        to_c = op[t.C] + part * op[t.PART_BYTES] + block * depth * op[t.C_ROW]
        if op[t.CLEAR]:
            for tap in range(taps):
                for row in range(rows):
                    for column in range(first_group * columns // groups, last_group * columns // groups):
                        store(to_c + tap * op[t.C_BATCH] + row * op[t.C_ROW] + column * BLOCK, zero)
        for image in range(part * op[t.IMAGES] // op[t.PARTS], (part + 1) * op[t.IMAGES] // op[t.PARTS]):
            for top in range(0, op[t.OUT_HEIGHT], op[t.CHUNK]):
                a = op[t.A] + image * op[t.A_BATCH] + block * op[t.A_PLANE] + top * op[t.A_ROW]
                b = op[t.B] + image * op[t.B_BATCH] + top * op[t.B_ROW]
                for group in range(first_group, last_group):
                    first, last = group * columns // groups, (group + 1) * columns // groups
                    tiles = (rows + MOST_ROWS[last - first] - 1) // MOST_ROWS[last - first]
                    for tap in range(taps):
                        for tile in range(tiles):
                            start = tile * rows // tiles
                            accumulate(
                                (tile + 1) * rows // tiles - start, last - first,
                                a + offsets[tap] + start * 4, op[t.PIXEL], op[t.A_ROW],
                                b + first * op[t.B_PLANE], op[t.B_PIXEL], op[t.B_ROW], op[t.B_PLANE],
                                op[t.OUT_WIDTH], min(op[t.CHUNK], op[t.OUT_HEIGHT] - top),
                                to_c + tap * op[t.C_BATCH] + start * op[t.C_ROW] + first * BLOCK, op[t.C_ROW], BLOCK,
                            )  # fmt: skip
        item = next_item(queue)


@kernel
def add_gradients(op, scratch, share):
    """Add sums at A, over all their parts, to gradients at C; a block of output channels and a tap an item.

    `scratch` holds a register.
    """
    channels, out_channels, taps = op[t.CHANNELS], op[t.OUT_CHANNELS], op[t.TAP_COUNT]
    queue = share_out(share, op[t.OUT_BLOCKS] * taps)
    item = next_item(queue)
    while item >= 0:
        block, tap = divmod(item, taps)
        for row in range(op[t.ROW_COUNT]):
            s = op[t.A] + tap * op[t.A_BATCH] + row * op[t.A_ROW] + block * BLOCK
            total = load(s)
            for part in range(1, op[t.PARTS]):
                total = total + load(s + part * op[t.PART_BYTES])
            store(scratch, total)
            x, c = divmod(row, channels)
            d = op[t.C] + tap * op[t.TAP_STRIDE] + x * op[t.ROW_STRIDE] + c * op[t.CHANNEL_STRIDE]
            for lane in range(min(LANES, out_channels - block * LANES)):
                place = d + (block * LANES + lane) * op[t.FILTER_STRIDE]
                store_scalar(place, load_scalar(place) + load_scalar(scratch + lane * 4))
        item = next_item(queue)
