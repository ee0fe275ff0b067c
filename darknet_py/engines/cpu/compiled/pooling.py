"""Maximum over windows, mean over planes, and sums of pictures; all blocked."""

from __future__ import annotations

import math

from numba import float32

from .. import table as t
from ..isa import BLOCK
from . import kernel
from .sync import next_item
from .vector import activated, broadcast, fma, load, maximum, store


@kernel
def pool_maximum(op, counter):
    """Maximum of `SIZE` x `SIZE` windows, the first at -`PADDING`; a row of a picture's block an item."""
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    size, stride = op[t.SIZE], op[t.STRIDE]
    least = broadcast(float32(-math.inf))
    item = next_item(counter)
    while item < op[t.BLOCKS] * op[t.IMAGES] * oh:
        picture, y = divmod(item, oh)
        top = y * stride - op[t.PADDING]
        source = op[t.A] + picture * h * w * BLOCK
        d = op[t.C] + item * ow * BLOCK
        for x in range(ow):
            left = x * stride - op[t.PADDING]
            best = least
            for sy in range(max(top, 0), min(top + size, h)):
                for sx in range(max(left, 0), min(left + size, w)):
                    best = maximum(best, load(source + (sy * w + sx) * BLOCK))
            store(d + x * BLOCK, best)
        item = next_item(counter)


@kernel
def pool_average(op, counter):
    """The mean of each plane; a picture's block an item."""
    size = op[t.HEIGHT] * op[t.WIDTH]
    item = next_item(counter)
    while item < op[t.BLOCKS] * op[t.IMAGES]:
        total = broadcast(float32(0))
        for i in range(size):
            total = total + load(op[t.A] + (item * size + i) * BLOCK)
        store(op[t.C] + item * BLOCK, total * broadcast(float32(1) / float32(size)))
        item = next_item(counter)


@kernel
def add(op, alpha, beta, slope, counter):
    """C = slope(alpha * A + beta * RESIDUAL); a row of a picture's block an item.

    The first `SUMMED_BLOCKS` blocks have another summand: every `STRIDE`-th cell of pictures of `OUT_HEIGHT`
    x `OUT_WIDTH`, added to every `SPREAD`-th cell. C may be A.
    """
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    step, spread = op[t.STRIDE], op[t.SPREAD]
    alphas, betas, slopes = broadcast(alpha), broadcast(beta), broadcast(slope)
    item = next_item(counter)
    while item < op[t.BLOCKS] * op[t.IMAGES] * h:
        picture, y = divmod(item, h)
        block = picture // op[t.IMAGES]
        s, d = op[t.A] + item * w * BLOCK, op[t.C] + item * w * BLOCK
        oy = y // spread * step
        summed = block < op[t.SUMMED_BLOCKS] and y % spread == 0 and oy < oh
        other = op[t.RESIDUAL] + (picture * oh + oy) * ow * BLOCK
        for x in range(w):
            value = load(s + x * BLOCK)
            ox = x // spread * step
            if summed and x % spread == 0 and ox < ow:
                value = fma(load(other + ox * BLOCK), betas, value * alphas)
            store(d + x * BLOCK, activated(value, slopes))
        item = next_item(counter)
