"""Layers that are a factor, a sum and an activation."""

from __future__ import annotations

from .. import operations as o
from ..isa import BLOCK
from . import kernel
from .bending import bend_cells
from .cells import load_cell, load_lane, store_cell
from .sync import next_item, share_out
from .vector import activated, broadcast, fma, load

CELLS = 256  # in an item


@kernel
def scale(op: o.Scale, slope, share):
    """C = curve(FACTOR * A + BIAS), cell by cell; where there is no FACTOR, curve(A). An item is `CELLS` cells.

    Blocks of channels have `cells` cells each, and a register of factors and of biases. Cells in bfloat16 are rounded
    before a curve, too.
    """
    cell, out_cell, pixels, slopes = op.cell, op.out_cell, op.cells, broadcast(slope)
    parts = (pixels + CELLS - 1) // CELLS
    queue = share_out(share, op.blocks * parts)
    item = next_item(queue)
    while item >= 0:
        part, block = divmod(item, op.blocks)
        first = block * pixels + part * CELLS
        last = min(first + CELLS, (block + 1) * pixels)
        if op.factor != 0:
            factor, bias = load(op.factor + block * BLOCK), load(op.bias + block * BLOCK)
            for i in range(first, last):
                value = fma(load_cell(op.a + i * cell, cell), factor, bias)
                store_cell(op.c + i * out_cell, activated(value, slopes), out_cell)
        elif op.curve == 0 or op.a != op.c:
            for i in range(first, last):
                value = load_cell(op.a + i * cell, cell)
                store_cell(op.c + i * out_cell, activated(value, slopes), out_cell)
        if op.curve != 0:
            bend_cells(op.curve, op.c + first * out_cell, last - first, 1, 0, out_cell)
        item = next_item(queue)


@kernel
def scale_channels(op: o.ScaleChannels, slope, share):
    """C = curve(A * FACTORS); an item is a row of a picture's block.

    Each image has a cell of FACTORS for each block, or, with `by_cell`, one for each cell, of which the first number
    counts. Cells in bfloat16 are rounded before a curve, too.
    """
    cell, out_cell, h, w, slopes = op.cell, op.out_cell, op.height, op.width, broadcast(slope)
    queue = share_out(share, op.blocks * op.images * h)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op.blocks)
        image, y = divmod(row, h)
        picture = block * op.images + image
        s, d = op.a + (picture * h + y) * w * cell, op.c + (picture * h + y) * w * out_cell
        factor = load_cell(op.factors + picture * cell, cell)
        for x in range(w):
            if op.by_cell:
                factor = broadcast(load_lane(op.factors + (row * w + x) * cell, cell))
            value = load_cell(s + x * cell, cell) * factor
            store_cell(d + x * out_cell, activated(value, slopes), out_cell)
        if op.curve != 0:
            bend_cells(op.curve, d, w, 1, 0, out_cell)
        item = next_item(queue)
