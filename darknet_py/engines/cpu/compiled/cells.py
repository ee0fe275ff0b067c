"""Cells: the LANES channels of a pixel, as float32 or, where they take `HALF` bytes, as bfloat16."""

from __future__ import annotations

from numba import float32

from ..isa import BLOCK
from . import kernel
from .vector import broadcast, load, load_narrow, load_narrow_scalar, load_scalar, store, store_narrow


@kernel
def load_cell(address, cell):
    """The register that the cell at `address`, of `cell` bytes, holds."""
    if cell == BLOCK:
        return load(address)
    return load_narrow(address)


@kernel
def store_cell(address, value, cell):
    """Write a register to the cell at `address`."""
    if cell == BLOCK:
        store(address, value)
    else:
        store_narrow(address, value)


@kernel
def load_lane(address, cell):
    """The number at `address`, one of those in a cell of `cell` bytes."""
    if cell == BLOCK:
        return load_scalar(address)
    return load_narrow_scalar(address)


@kernel
def sum_cells(address, count, cell):
    """The sum of `count` cells, the first at `address`: in four parts, as each addition waits for the one before."""
    first = second = third = fourth = broadcast(float32(0))
    whole = count - count % 4
    for i in range(0, whole, 4):
        first = first + load_cell(address + i * cell, cell)
        second = second + load_cell(address + (i + 1) * cell, cell)
        third = third + load_cell(address + (i + 2) * cell, cell)
        fourth = fourth + load_cell(address + (i + 3) * cell, cell)
    for i in range(whole, count):
        first = first + load_cell(address + i * cell, cell)
    return (first + second) + (third + fourth)
