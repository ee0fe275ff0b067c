"""Maximum over windows, mean over planes, and sums of pictures; all blocked."""

from __future__ import annotations

import math

from numba import float32

from .. import operations as o
from . import kernel
from .bending import bend_cells
from .cells import load_cell, store_cell, sum_cells
from .sync import next_item, share_out
from .vector import activated, broadcast, fma, maximum


@kernel
def pool_maximum(op: o.MaxPool, share):
    """Maximum of `size` x `size` windows, the first at -`padding`; an item is a row of a picture's block."""
    h, w, oh, ow = op.height, op.width, op.out_height, op.out_width
    size, stride, cell, out_cell = op.size, op.stride, op.cell, op.out_cell
    least = broadcast(float32(-math.inf))
    queue = share_out(share, op.blocks * op.images * oh)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op.blocks)
        image, y = divmod(row, oh)
        picture = block * op.images + image
        top = y * stride - op.padding
        source, d = op.a + picture * h * w * cell, op.c + (picture * oh + y) * ow * out_cell
        for x in range(ow):
            left = x * stride - op.padding
            best = least
            for sy in range(max(top, 0), min(top + size, h)):
                for sx in range(max(left, 0), min(left + size, w)):
                    best = maximum(best, load_cell(source + (sy * w + sx) * cell, cell))
            store_cell(d + x * out_cell, best, out_cell)
        item = next_item(queue)


@kernel
def pool_average(op: o.AvgPool, share):
    """The mean of each plane, summed up by rows, as one long sum loses digits; an item is a picture's block.

    The mean is of `cells` cells: more than are read where these are the sums of rows.
    """
    h, w, cell, out_cell = op.height, op.width, op.cell, op.out_cell
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        total = broadcast(float32(0))
        for y in range(h):
            total = total + sum_cells(op.a + (item * h + y) * w * cell, w, cell)
        store_cell(op.c + item * out_cell, total * broadcast(float32(1) / float32(op.cells)), out_cell)
        item = next_item(queue)


@kernel
def add(op: o.Add, alpha, beta, slope, share):
    """C = curve(alpha * A + beta * OTHER) where there is a second summand, else curve(A). C may be A.

    The first `summed_blocks` blocks have one: every `other_step`-th cell of pictures of `other_height` x `other_width`,
    added to every `spread`-th cell. An item is a row of a picture's block.
    """
    h, w, oh, ow = op.height, op.width, op.other_height, op.other_width
    step, spread, cell, out_cell = op.other_step, op.spread, op.cell, op.out_cell
    alphas, betas, slopes = broadcast(alpha), broadcast(beta), broadcast(slope)
    queue = share_out(share, op.blocks * op.images * h)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op.blocks)
        image, y = divmod(row, h)
        picture = block * op.images + image
        s, d = op.a + (picture * h + y) * w * cell, op.c + (picture * h + y) * w * out_cell
        oy = y // spread * step
        summed = block < op.summed_blocks and y % spread == 0 and oy < oh
        other = op.other + (picture * oh + oy) * ow * cell
        for x in range(w):
            value = load_cell(s + x * cell, cell)
            ox = x // spread * step
            if summed and x % spread == 0 and ox < ow:
                value = fma(load_cell(other + ox * cell, cell), betas, value * alphas)
            store_cell(d + x * out_cell, activated(value, slopes), out_cell)
        if op.curve != 0:
            bend_cells(op.curve, d, w, 1, 0, out_cell)
        item = next_item(queue)
