"""Layers that are a factor, a sum and an activation."""

from __future__ import annotations

from .. import table as t
from ..isa import BLOCK
from . import kernel
from .bending import bend_cells
from .cells import load_cell, load_lane, store_cell
from .sync import next_item, share_out
from .vector import activated, broadcast, fma, load

CELLS = 256  # of an item


@kernel
def scale(op, slope, share):
    """C = curve(FACTOR * A + BIAS), cell by cell; where there is no FACTOR, curve(A). `CELLS` cells an item.

    Blocks of channels have `CELLS` cells each, and a register of factors and biases. Narrow cells are rounded before a
    curve, too.
    """
    cell, out_cell, pixels, slopes = op[t.CELL], op[t.OUT_CELL], op[t.CELLS], broadcast(slope)
    parts = (pixels + CELLS - 1) // CELLS
    queue = share_out(share, op[t.BLOCKS] * parts)
    item = next_item(queue)
    while item >= 0:
        part, block = divmod(item, op[t.BLOCKS])
        first = block * pixels + part * CELLS
        last = min(first + CELLS, (block + 1) * pixels)
        if op[t.FACTOR] != 0:
            factor, bias = load(op[t.FACTOR] + block * BLOCK), load(op[t.BIAS] + block * BLOCK)
            for i in range(first, last):
                value = fma(load_cell(op[t.A] + i * cell, cell), factor, bias)
                store_cell(op[t.C] + i * out_cell, activated(value, slopes), out_cell)
        elif op[t.CURVE] == 0 or op[t.A] != op[t.C]:
            for i in range(first, last):
                value = load_cell(op[t.A] + i * cell, cell)
                store_cell(op[t.C] + i * out_cell, activated(value, slopes), out_cell)
        if op[t.CURVE] != 0:
            bend_cells(op[t.CURVE], op[t.C] + first * out_cell, last - first, 1, 0, out_cell)
        item = next_item(queue)


@kernel
def scale_channels(op, slope, share):
    """C = curve(A * FACTORS); a row of a picture's block an item.

    Each image has a cell of FACTORS for each block, or, `BY_CELL`, for each cell, whose first number counts. Narrow
    cells are rounded before a curve, too.
    """
    cell, out_cell, h, w, slopes = op[t.CELL], op[t.OUT_CELL], op[t.HEIGHT], op[t.WIDTH], broadcast(slope)
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * h)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, y = divmod(row, h)
        picture = block * op[t.IMAGES] + image
        s, d = op[t.A] + (picture * h + y) * w * cell, op[t.C] + (picture * h + y) * w * out_cell
        factor = load_cell(op[t.FACTORS] + picture * cell, cell)
        for x in range(w):
            if op[t.BY_CELL]:
                factor = broadcast(load_lane(op[t.FACTORS] + (row * w + x) * cell, cell))
            value = load_cell(s + x * cell, cell) * factor
            store_cell(d + x * out_cell, activated(value, slopes), out_cell)
        if op[t.CURVE] != 0:
            bend_cells(op[t.CURVE], d, w, 1, 0, out_cell)
        item = next_item(queue)
