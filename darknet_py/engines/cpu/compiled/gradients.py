"""Gradients of weights: sums of products over pixels and pictures, brought into a weights file's order."""

from __future__ import annotations

from numba import float32

from .. import operations as o
from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .accumulate import MOST_ROWS, accumulate
from .sync import int64s, next_item, share_out
from .vector import broadcast, load, load_scalar, store, store_scalar


@kernel
def sum_products(op: o.SumProducts, share):
    """Add to C the products of A's numbers and B's registers, summed over pixels and pictures; see the operation.

    An item of work is a part of the pictures, some groups of B's columns and a block of A's rows.
    """
    blocks, columns, depth, taps = op.blocks, op.out_blocks, op.depth, op.tap_count
    groups = (columns + t.GROUP - 1) // t.GROUP
    stretches = (groups + op.groups - 1) // op.groups
    offsets = int64s(op.taps)
    zero = broadcast(float32(0))
    queue = share_out(share, op.parts * stretches * blocks)
    item = next_item(queue)
    while item >= 0:
        left, block = divmod(item, blocks)
        part, stretch = divmod(left, stretches)
        first_group, last_group = stretch * op.groups, min(groups, (stretch + 1) * op.groups)
        rows = min(depth, op.row_count - block * depth)
        to_c = op.c + part * op.part_bytes + block * depth * op.c_row
        if op.clear:
            for tap in range(taps):
                for row in range(rows):
                    for column in range(first_group * columns // groups, last_group * columns // groups):
                        store(to_c + tap * op.c_batch + row * op.c_row + column * BLOCK, zero)
        for image in range(part * op.images // op.parts, (part + 1) * op.images // op.parts):
            for top in range(0, op.out_height, op.chunk):
                a = op.a + image * op.a_batch + block * op.a_plane + top * op.a_row
                b = op.b + image * op.b_batch + top * op.b_row
                for group in range(first_group, last_group):
                    first, last = group * columns // groups, (group + 1) * columns // groups
                    tiles = (rows + MOST_ROWS[last - first] - 1) // MOST_ROWS[last - first]
                    for tap in range(taps):
                        for tile in range(tiles):
                            start = tile * rows // tiles
                            accumulate(
                                (tile + 1) * rows // tiles - start, last - first,
                                a + offsets[tap] + start * 4, op.pixel, op.a_row,
                                b + first * op.b_plane, op.b_pixel, op.b_row, op.b_plane,
                                op.out_width, min(op.chunk, op.out_height - top),
                                to_c + tap * op.c_batch + start * op.c_row + first * BLOCK, op.c_row, BLOCK,
                            )  # fmt: skip
        item = next_item(queue)


@kernel
def add_gradients(op: o.AddGradients, scratch, share):
    """Add sums at A, over all their parts, to gradients at C; an item is a block of output channels and a tap.

    `scratch` holds a register.
    """
    channels, out_channels, taps = op.channels, op.out_channels, op.tap_count
    queue = share_out(share, op.out_blocks * taps)
    item = next_item(queue)
    while item >= 0:
        block, tap = divmod(item, taps)
        for row in range(op.row_count):
            s = op.a + tap * op.a_batch + row * op.a_row + block * BLOCK
            total = load(s)
            for part in range(1, op.parts):
                total = total + load(s + part * op.part_bytes)
            store(scratch, total)
            x, c = divmod(row, channels)
            d = op.c + tap * op.tap_stride + x * op.row_stride + c * op.channel_stride
            for lane in range(min(LANES, out_channels - block * LANES)):
                place = d + (block * LANES + lane) * op.filter_stride
                store_scalar(place, load_scalar(place) + load_scalar(scratch + lane * 4))
        item = next_item(queue)
