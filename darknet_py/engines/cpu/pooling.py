"""Maximum over windows, mean over planes, and sums of pictures; all blocked."""

from __future__ import annotations

import math

from numba import float32, njit

from .microkernel import BLOCK
from .sync import next_item
from .table import (
    A, BLOCKS, C, HEIGHT, IMAGES, OUT_HEIGHT, OUT_WIDTH, PADDING, RESIDUAL, SIZE, SPREAD, STRIDE, SUMMED_BLOCKS, WIDTH,
)  # fmt: skip
from .vector import activated, broadcast, fma, load, maximum, store


@njit(nogil=True)
def pool_maximum(op, counter):
    """Maximum of `SIZE` x `SIZE` windows, the first at -`PADDING`; a row of a picture's block an item."""
    h, w, oh, ow = op[HEIGHT], op[WIDTH], op[OUT_HEIGHT], op[OUT_WIDTH]
    size, stride = op[SIZE], op[STRIDE]
    least = broadcast(float32(-math.inf))
    item = next_item(counter)
    while item < op[BLOCKS] * op[IMAGES] * oh:
        picture, y = divmod(item, oh)
        top = y * stride - op[PADDING]
        source = op[A] + picture * h * w * BLOCK
        d = op[C] + item * ow * BLOCK
        for x in range(ow):
            left = x * stride - op[PADDING]
            best = least
            for sy in range(max(top, 0), min(top + size, h)):
                for sx in range(max(left, 0), min(left + size, w)):
                    best = maximum(best, load(source + (sy * w + sx) * BLOCK))
            store(d + x * BLOCK, best)
        item = next_item(counter)


@njit(nogil=True)
def pool_average(op, counter):
    """The mean of each plane; a picture's block an item."""
    size = op[HEIGHT] * op[WIDTH]
    item = next_item(counter)
    while item < op[BLOCKS] * op[IMAGES]:
        total = broadcast(float32(0))
        for i in range(size):
            total = total + load(op[A] + (item * size + i) * BLOCK)
        store(op[C] + item * BLOCK, total * broadcast(float32(1) / float32(size)))
        item = next_item(counter)


@njit(nogil=True)
def add(op, alpha, beta, slope, counter):
    """C = slope(alpha * A + beta * RESIDUAL); a row of a picture's block an item.

    The first `SUMMED_BLOCKS` blocks have another summand: every `STRIDE`-th cell of pictures of `OUT_HEIGHT`
    x `OUT_WIDTH`, added to every `SPREAD`-th cell. C may be A.
    """
    h, w, oh, ow = op[HEIGHT], op[WIDTH], op[OUT_HEIGHT], op[OUT_WIDTH]
    step, spread = op[STRIDE], op[SPREAD]
    alphas, betas, slopes = broadcast(alpha), broadcast(beta), broadcast(slope)
    item = next_item(counter)
    while item < op[BLOCKS] * op[IMAGES] * h:
        picture, y = divmod(item, h)
        block = picture // op[IMAGES]
        s, d = op[A] + item * w * BLOCK, op[C] + item * w * BLOCK
        oy = y // spread * step
        summed = block < op[SUMMED_BLOCKS] and y % spread == 0 and oy < oh
        other = op[RESIDUAL] + (picture * oh + oy) * ow * BLOCK
        for x in range(w):
            value = load(s + x * BLOCK)
            ox = x // spread * step
            if summed and x % spread == 0 and ox < ow:
                value = fma(load(other + ox * BLOCK), betas, value * alphas)
            store(d + x * BLOCK, activated(value, slopes))
        item = next_item(counter)
