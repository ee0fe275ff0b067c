"""The backward pass of deltas through what has no parameters: pooling, sums, and strides."""

from __future__ import annotations

from numba import float32

from .. import operations as o
from ..isa import BLOCK, LANES
from . import kernel
from .scaling import CELLS
from .sync import next_item, share_out
from .vector import broadcast, fma, load, load_scalar, store, store_scalar, take_equal


@kernel
def add_delta(op: o.AddDelta, alpha, share):
    """C = alpha * A + C, or alpha * A where `clear`; an item is `CELLS` cells."""
    cells, alphas = op.cells, broadcast(alpha)
    queue = share_out(share, (cells + CELLS - 1) // CELLS)
    item = next_item(queue)
    while item >= 0:
        for i in range(item * CELLS, min(item * CELLS + CELLS, cells)):
            value = load(op.a + i * BLOCK) * alphas
            if not op.clear:
                value = value + load(op.c + i * BLOCK)
            store(op.c + i * BLOCK, value)
        item = next_item(queue)


@kernel
def add_shortcut_delta(op: o.ShortcutDelta, beta, share):
    """Add `beta` times deltas at A to those at C, whose cells a shortcut has added; an item is a picture's block.

    C's pictures are `other_height` x `other_width`; every `spread`-th cell of A belongs to every `other_step`-th of
    C's, in the first `summed_blocks` blocks. With `clear`, C is cleared first.
    """
    h, w, oh, ow = op.height, op.width, op.other_height, op.other_width
    spread, step = op.spread, op.other_step
    zero, betas = broadcast(float32(0)), broadcast(beta)
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        s, d = op.a + item * h * w * BLOCK, op.c + item * oh * ow * BLOCK
        if op.clear:
            for i in range(oh * ow):
                store(d + i * BLOCK, zero)
        if item // op.images < op.summed_blocks:
            for y in range(min((h + spread - 1) // spread, (oh + step - 1) // step)):
                for x in range(min((w + spread - 1) // spread, (ow + step - 1) // step)):
                    place = d + (y * step * ow + x * step) * BLOCK
                    delta = load(s + (y * spread * w + x * spread) * BLOCK)
                    store(place, fma(delta, betas, load(place)))
        item = next_item(queue)


@kernel
def multiply_cells(op: o.MultiplyCells, share):
    """C = A * OTHER; an item is `CELLS` cells."""
    cells = op.cells
    queue = share_out(share, (cells + CELLS - 1) // CELLS)
    item = next_item(queue)
    while item >= 0:
        for i in range(item * CELLS, min(item * CELLS + CELLS, cells)):
            store(op.c + i * BLOCK, load(op.a + i * BLOCK) * load(op.other + i * BLOCK))
        item = next_item(queue)


@kernel
def pool_maximum_delta(op: o.MaxPoolDelta, share):
    """Add deltas at B to C, each where its window of A first has the maximum at OTHER; an item is a picture's block.

    Windows are as for `pool_maximum`. With `clear`, C is cleared first.
    """
    h, w, oh, ow = op.height, op.width, op.out_height, op.out_width
    size, stride, padding = op.size, op.stride, op.padding
    zero = broadcast(float32(0))
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        s, c = op.a + item * h * w * BLOCK, op.c + item * h * w * BLOCK
        y, b = op.other + item * oh * ow * BLOCK, op.b + item * oh * ow * BLOCK
        if op.clear:
            for i in range(h * w):
                store(c + i * BLOCK, zero)
        for row in range(oh):
            top = row * stride - padding
            for column in range(ow):
                left = column * stride - padding
                best, rest = load(y + (row * ow + column) * BLOCK), load(b + (row * ow + column) * BLOCK)
                for sy in range(max(top, 0), min(top + size, h)):
                    for sx in range(max(left, 0), min(left + size, w)):
                        place = (sy * w + sx) * BLOCK
                        taken = take_equal(load(s + place), best, rest)
                        rest = rest - taken
                        store(c + place, load(c + place) + taken)
        item = next_item(queue)


@kernel
def pool_average_delta(op: o.AvgPoolDelta, share):
    """Add deltas at A, divided by the number of a plane's cells, to all these at C; an item is a picture's block.

    With `clear`, C is cleared first.
    """
    size = op.height * op.width
    inverse = broadcast(float32(1) / float32(size))
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        delta, c = load(op.a + item * BLOCK) * inverse, op.c + item * size * BLOCK
        for i in range(size):
            store(c + i * BLOCK, delta if op.clear else delta + load(c + i * BLOCK))
        item = next_item(queue)


@kernel
def spread(op: o.Spread, share):
    """Blocked pictures at A to C, cells `stride` apart, with zeros between and after; an item is a picture's block."""
    h, w, tall, wide = op.height, op.width, op.out_height, op.out_width
    zero = broadcast(float32(0))
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        s, d = op.a + item * h * w * BLOCK, op.c + item * tall * wide * BLOCK
        for i in range(tall * wide):
            store(d + i * BLOCK, zero)
        for y in range(h):
            for x in range(w):
                place = y * op.stride * wide + x * op.stride
                store(d + place * BLOCK, load(s + (y * w + x) * BLOCK))
        item = next_item(queue)


@kernel
def to_plain(op: o.ToPlain, scratch, share):
    """Blocked pictures at A to plain ones at C; an item is a picture's block. `scratch` holds a register."""
    size, channels = op.height * op.width, op.channels
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        block, image = divmod(item, op.images)
        d = op.c + (image * channels + block * LANES) * size * 4
        for i in range(size):
            store(scratch, load(op.a + (item * size + i) * BLOCK))
            for lane in range(min(LANES, channels - block * LANES)):
                store_scalar(d + (lane * size + i) * 4, load_scalar(scratch + lane * 4))
        item = next_item(queue)
