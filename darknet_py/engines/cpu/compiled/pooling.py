"""Maximum over windows, mean over planes, and sums of pictures; all blocked."""

from __future__ import annotations

import math

from numba import float32

from .. import table as t
from . import kernel
from .bending import bend_cells
from .cells import load_cell, store_cell, sum_cells
from .sync import next_item, share_out
from .vector import activated, broadcast, fma, maximum


@kernel
def pool_maximum(op, share):
    """Maximum of `SIZE` x `SIZE` windows, the first at -`PADDING`; a row of a picture's block an item."""
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    size, stride, cell, out_cell = op[t.SIZE], op[t.STRIDE], op[t.CELL], op[t.OUT_CELL]
    least = broadcast(float32(-math.inf))
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * oh)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, y = divmod(row, oh)
        picture = block * op[t.IMAGES] + image
        top = y * stride - op[t.PADDING]
        source, d = op[t.A] + picture * h * w * cell, op[t.C] + (picture * oh + y) * ow * out_cell
        for x in range(ow):
            left = x * stride - op[t.PADDING]
            best = least
            for sy in range(max(top, 0), min(top + size, h)):
                for sx in range(max(left, 0), min(left + size, w)):
                    best = maximum(best, load_cell(source + (sy * w + sx) * cell, cell))
            store_cell(d + x * out_cell, best, out_cell)
        item = next_item(queue)


@kernel
def pool_average(op, share):
    """The mean of each plane, whose rows are summed up first, as a long sum loses digits; a picture's block an item.

    It is of `CELLS` cells: more than are read where these are the rows' sums.
    """
    h, w, cell, out_cell = op[t.HEIGHT], op[t.WIDTH], op[t.CELL], op[t.OUT_CELL]
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        total = broadcast(float32(0))
        for y in range(h):
            total = total + sum_cells(op[t.A] + (item * h + y) * w * cell, w, cell)
        store_cell(op[t.C] + item * out_cell, total * broadcast(float32(1) / float32(op[t.CELLS])), out_cell)
        item = next_item(queue)


@kernel
def add(op, alpha, beta, slope, share):
    """C = curve(alpha * A + beta * OTHER); a row of a picture's block an item.

    The first `SUMMED_BLOCKS` blocks have another summand: every `OTHER_STEP`-th cell of pictures of `OTHER_HEIGHT`
    x `OTHER_WIDTH`, added to every `SPREAD`-th cell. C may be A.
    """
    h, w, oh, ow = op[t.HEIGHT], op[t.WIDTH], op[t.OTHER_HEIGHT], op[t.OTHER_WIDTH]
    step, spread, cell, out_cell = op[t.OTHER_STEP], op[t.SPREAD], op[t.CELL], op[t.OUT_CELL]
    alphas, betas, slopes = broadcast(alpha), broadcast(beta), broadcast(slope)
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * h)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, y = divmod(row, h)
        picture = block * op[t.IMAGES] + image
        s, d = op[t.A] + (picture * h + y) * w * cell, op[t.C] + (picture * h + y) * w * out_cell
        oy = y // spread * step
        summed = block < op[t.SUMMED_BLOCKS] and y % spread == 0 and oy < oh
        other = op[t.OTHER] + (picture * oh + oy) * ow * cell
        for x in range(w):
            value = load_cell(s + x * cell, cell)
            ox = x // spread * step
            if summed and x % spread == 0 and ox < ow:
                value = fma(load_cell(other + ox * cell, cell), betas, value * alphas)
            store_cell(d + x * out_cell, activated(value, slopes), out_cell)
        if op[t.CURVE] != 0:
            bend_cells(op[t.CURVE], d, w, 1, 0, out_cell)
        item = next_item(queue)
