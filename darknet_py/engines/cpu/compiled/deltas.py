"""Deltas on their way back through what has no parameters: pooling, sums, and windows that lie apart."""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .scaling import CELLS
from .sync import next_item, share_out
from .vector import broadcast, fma, load, load_scalar, store, store_scalar, take_equal


@kernel
def add_delta(op, alpha, share):
    """C = alpha * A + C, or alpha * A where `CLEAR`; so many cells an item."""
    cells, alphas = op[t.CELLS], broadcast(alpha)
    queue = share_out(share, (cells + CELLS - 1) // CELLS)
    item = next_item(queue)
    while item >= 0:
        for i in range(item * CELLS, min(item * CELLS + CELLS, cells)):
            value = load(op[t.A] + i * BLOCK) * alphas
            if not op[t.CLEAR]:
                value = value + load(op[t.C] + i * BLOCK)
            store(op[t.C] + i * BLOCK, value)
        item = next_item(queue)


@kernel
def add_shortcut_delta(op, beta, share):
    """Add BETA times deltas at A to those at C that a shortcut has added; a picture's block an item.

    C's pictures are `OTHER_HEIGHT` x `OTHER_WIDTH`; every `SPREAD`-th cell of A is of every `OTHER_STEP`-th of C's, in
    the first `SUMMED_BLOCKS`. `CLEAR`: C is zero before.
    """
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OTHER_HEIGHT], op[t.OTHER_WIDTH]
    spread, step = op[t.SPREAD], op[t.OTHER_STEP]
    zero, betas = broadcast(float32(0)), broadcast(beta)
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        s, d = op[t.A] + item * h * w * BLOCK, op[t.C] + item * oh * ow * BLOCK
        if op[t.CLEAR]:
            for i in range(oh * ow):
                store(d + i * BLOCK, zero)
        if item // op[t.IMAGES] < op[t.SUMMED_BLOCKS]:
            for y in range(min((h + spread - 1) // spread, (oh + step - 1) // step)):
                for x in range(min((w + spread - 1) // spread, (ow + step - 1) // step)):
                    place = d + (y * step * ow + x * step) * BLOCK
                    delta = load(s + (y * spread * w + x * spread) * BLOCK)
                    store(place, fma(delta, betas, load(place)))
        item = next_item(queue)


@kernel
def multiply_cells(op, share):
    """C = A * OTHER; so many cells an item."""
    cells = op[t.CELLS]
    queue = share_out(share, (cells + CELLS - 1) // CELLS)
    item = next_item(queue)
    while item >= 0:
        for i in range(item * CELLS, min(item * CELLS + CELLS, cells)):
            store(op[t.C] + i * BLOCK, load(op[t.A] + i * BLOCK) * load(op[t.OTHER] + i * BLOCK))
        item = next_item(queue)


@kernel
def pool_maximum_delta(op, share):
    """Add deltas at B to C, each where a window of A has its maximum, OTHER, first; a picture's block an item.

    Windows are as for `pool_maximum`; `CLEAR`: C is zero before.
    """
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    size, stride, padding = op[t.SIZE], op[t.STRIDE], op[t.PADDING]
    zero = broadcast(float32(0))
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        s, c = op[t.A] + item * h * w * BLOCK, op[t.C] + item * h * w * BLOCK
        y, b = op[t.OTHER] + item * oh * ow * BLOCK, op[t.B] + item * oh * ow * BLOCK
        if op[t.CLEAR]:
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
def pool_average_delta(op, share):
    """Add deltas at A, divided by a plane's cells, to all of them at C; a picture's block an item."""
    size = op[t.HEIGHT] * op[t.WIDTH]
    inverse = broadcast(float32(1) / float32(size))
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        delta, c = load(op[t.A] + item * BLOCK) * inverse, op[t.C] + item * size * BLOCK
        for i in range(size):
            store(c + i * BLOCK, delta if op[t.CLEAR] else delta + load(c + i * BLOCK))
        item = next_item(queue)


@kernel
def spread(op, share):
    """Blocked pictures at A to C, cells `STRIDE` apart and zeros between and after them; a picture's block an item."""
    h, w, tall, wide = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    zero = broadcast(float32(0))
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        s, d = op[t.A] + item * h * w * BLOCK, op[t.C] + item * tall * wide * BLOCK
        for i in range(tall * wide):
            store(d + i * BLOCK, zero)
        for y in range(h):
            for x in range(w):
                place = y * op[t.STRIDE] * wide + x * op[t.STRIDE]
                store(d + place * BLOCK, load(s + (y * w + x) * BLOCK))
        item = next_item(queue)


@kernel
def to_plain(op, scratch, share):
    """Blocked pictures at A to plain ones at C; a picture's block an item. `scratch` holds a register."""
    size, channels = op[t.HEIGHT] * op[t.WIDTH], op[t.CHANNELS]
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        block, image = divmod(item, op[t.IMAGES])
        d = op[t.C] + (image * channels + block * LANES) * size * 4
        for i in range(size):
            store(scratch, load(op[t.A] + (item * size + i) * BLOCK))
            for lane in range(min(LANES, channels - block * LANES)):
                store_scalar(d + (lane * size + i) * 4, load_scalar(scratch + lane * 4))
        item = next_item(queue)
