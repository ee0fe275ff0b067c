"""Cells: the LANES channels of a pixel, as float32 or, where they take `HALF` bytes, as bfloat16."""

from __future__ import annotations

from ..isa import BLOCK
from . import kernel
from .vector import load, load_narrow, load_narrow_scalar, load_scalar, store, store_narrow


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
    """The number at `address`, one of a cell's."""
    if cell == BLOCK:
        return load_scalar(address)
    return load_narrow_scalar(address)
