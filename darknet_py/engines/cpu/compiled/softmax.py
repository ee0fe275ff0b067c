"""Softmax, in compiled code: NumPy's, cold after every picture, costs 0.2 ms each time."""

from __future__ import annotations

import math

from numba import float32

from .. import operations as o
from ..isa import LANES
from . import kernel
from .cells import load_lane
from .sync import next_item, share_out
from .vector import load_scalar, store_scalar


@kernel
def softmax(op: o.Softmax, factor, share):
    """Blocked pictures of one cell at A to plain ones at C: softmax of factor * A; an item is a group of a picture.

    A picture's channels make up `groups` groups, one after another.
    """
    groups, images = op.groups, op.images
    size, cell = op.channels // groups, op.cell
    queue = share_out(share, images * groups)
    item = next_item(queue)
    while item >= 0:
        image, group = divmod(item, groups)
        first = group * size
        d = op.c + (image * op.channels + first) * 4
        most = float32(-math.inf)
        for c in range(first, first + size):
            block, lane = divmod(c, LANES)
            value = load_lane(op.a + (block * images + image) * cell + lane * (cell // LANES), cell) * factor
            store_scalar(d + (c - first) * 4, value)
            most = max(most, value)
        total = 0.0
        for i in range(size):
            power = math.exp(load_scalar(d + i * 4) - most)
            store_scalar(d + i * 4, power)
            total += power
        scale = float32(1.0 / total)
        for i in range(size):
            store_scalar(d + i * 4, load_scalar(d + i * 4) * scale)
        item = next_item(queue)
