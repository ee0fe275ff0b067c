"""Layers other than products."""

from __future__ import annotations

from .base import Operation


class Crop(Operation):
    """alpha * A + beta within a window, to plain pictures."""

    a: int
    a_batch: int
    a_block: int  # from LANES channels to the next
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    images: int
    channels: int
    top: int
    left: int
    out_height: int
    out_width: int
    alpha: float
    beta: float


class MaxPool(Operation):
    """Maximum over windows."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    size: int
    stride: int
    padding: int
    out_height: int
    out_width: int


class AvgPool(Operation):
    """Mean over planes."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    cells: int  # of a plane; each cell that is read may be the sum of several


class Add(Operation):
    """curve(alpha * A + beta * other)."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    other: int
    other_height: int
    other_width: int
    other_step: int  # every `other_step`-th cell of the other is taken
    spread: int  # and added to every `spread`-th cell
    summed_blocks: int  # blocks that have a second summand
    curve: int
    slope: float
    alpha: float
    beta: float


class Scale(Operation):
    """curve(factor * A + bias), or curve(A)."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    cells: int
    factor: int  # 0 where there is none
    bias: int
    curve: int  # an activation's place in CURVES, from 1; 0 for x > 0 ? x : slope * x
    slope: float


class ScaleChannels(Operation):
    """curve(A * factors), where each image has a factor for each channel or, `by_cell`, for each cell."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    factors: int
    by_cell: int
    curve: int
    slope: float


class Softmax(Operation):
    """Softmax of pictures of one cell, to plain ones."""

    a: int
    c: int
    cell: int
    images: int
    channels: int
    groups: int
    inverse_temperature: float
