"""What training needs besides: the backward pass of deltas, normalization, gradients of weights."""

from __future__ import annotations

from .base import Operation


class SumProducts(Operation):
    """Products of A's numbers (rows) and B's registers (columns), summed over pixels and pictures: gradients."""

    images: int
    parts: int  # of the pictures, each with its own sums
    part_bytes: int
    blocks: int
    depth: int  # rows of a block, side by side
    row_count: int  # rows of all blocks
    out_blocks: int  # columns
    groups: int  # of columns in an item
    out_height: int
    out_width: int
    chunk: int  # rows of pixels at a time
    taps: int
    tap_count: int
    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    b: int
    b_batch: int
    b_plane: int
    b_row: int
    b_pixel: int
    c: int
    c_batch: int  # from one tap to the next
    c_row: int
    clear: int  # whether C is cleared first


class AddGradients(Operation):
    """Such sums, added to gradients in a weights file's order."""

    a: int
    a_batch: int
    a_row: int
    parts: int
    part_bytes: int
    row_count: int
    out_blocks: int
    out_channels: int
    channels: int  # of each pixel of a row of the window, whose channels are the rows
    tap_count: int
    c: int
    filter_stride: int
    channel_stride: int
    row_stride: int  # from one pixel to the next
    tap_stride: int


class Measure(Operation):
    """Means of pictures' blocks, and squared distances from them."""

    a: int
    sums: int
    blocks: int
    images: int
    cells: int


class FoldMeasures(Operation):
    """Mean, variance and factor of each channel of a mini-batch."""

    sums: int
    blocks: int
    images: int
    cells: int
    channels: int
    scale: int
    mean: int
    variance: int
    factor: int
    to_variance: float  # what the dialect adds
    to_deviation: float


class Normalize(Operation):
    """curve(factor * (A - mean) + bias)."""

    a: int
    c: int
    blocks: int
    cells: int
    mean: int
    factor: int
    bias: int
    curve: int
    slope: float


class BendDelta(Operation):
    """Deltas times an activation's slope, and their sums."""

    a: int  # what was normalized; 0 where nothing was
    other: int  # the activation's output, or its input; 0: its input is factor * (A - mean) + bias
    c: int
    sums: int
    mean: int
    factor: int
    bias: int
    blocks: int
    images: int
    cells: int
    curve: int
    slope: float


class FoldDelta(Operation):
    """Gradients of biases and scales, and the coefficients with which deltas pass back through a normalization."""

    sums: int
    blocks: int
    images: int
    cells: int
    channels: int
    scale: int  # 0 where nothing is normalized
    variance: int
    factor: int
    tilt: int
    bias: int
    bias_gradient: int  # 0 where it is not wanted
    scale_gradient: int
    to_variance: float
    to_deviation: float


class NormalizeDelta(Operation):
    """factor * C + tilt * (A - mean) + bias."""

    a: int
    c: int
    blocks: int
    cells: int
    mean: int
    factor: int
    tilt: int
    bias: int


class AddDelta(Operation):
    """C + alpha * A."""

    a: int
    c: int
    cells: int
    clear: int
    alpha: float


class ShortcutDelta(Operation):
    """C + beta * A, where a shortcut adds them."""

    a: int
    c: int
    clear: int
    blocks: int
    images: int
    height: int
    width: int
    other_height: int  # of C
    other_width: int
    other_step: int
    spread: int
    summed_blocks: int
    beta: float


class MultiplyCells(Operation):
    """A * other."""

    a: int
    other: int
    c: int
    cells: int


class MaxPoolDelta(Operation):
    """Deltas of maxima, added where the maxima came from."""

    a: int
    other: int
    b: int
    c: int
    clear: int
    blocks: int
    images: int
    height: int
    width: int
    size: int
    stride: int
    padding: int
    out_height: int
    out_width: int


class AvgPoolDelta(Operation):
    """Deltas of means, added to all cells that the means were taken of."""

    a: int
    c: int
    clear: int
    blocks: int
    images: int
    height: int
    width: int


class Spread(Operation):
    """Blocked pictures, with their cells spread apart."""

    a: int
    c: int
    blocks: int
    images: int
    height: int
    width: int
    stride: int
    out_height: int
    out_width: int


class ToPlain(Operation):
    """Blocked pictures, plain."""

    a: int
    c: int
    blocks: int
    channels: int
    images: int
    height: int
    width: int
