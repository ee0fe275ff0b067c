"""Where windows lie on a picture: each window's cells, and for each cell the sum over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..cfg import Section, integer
from .base import MAX_SIDE, Array, Shape

# Options of layers that pool.
POOLING = {
    "stride": integer(1, least=1, most=MAX_SIDE),
    "size": integer(0, least=1, most=MAX_SIDE),
    "padding": integer(-1, least=0, most=2 * MAX_SIDE),
}


def count_windows(room: int, size: int, stride: int) -> int:
    """How many windows of `size` lie `stride` apart in `room` cells; 0 where none does.

    One may be up to `stride` - 1 larger than the room, as in C, whose division rounds towards zero.
    """
    return 0 if room - size <= -stride else max(0, room - size) // stride + 1


class Pooling(Protocol):
    """The options of a layer that pools."""

    section: Section
    stride: int
    stride_x: int
    stride_y: int
    size: int
    padding: int


class Windows:
    """Windows of `size` x `size` cells.

    Attributes
    ----------
    size : int
    strides : (int, int)
        How far they lie apart, down and across.
    first : int
        How many cells the first window begins before the picture, at its top and its left.
    dilation : int
        How far a window's cells lie apart.
    """

    def __init__(self, size: int, strides: tuple[int, int], first: int, dilation: int = 1) -> None:
        self.size, self.strides, self.first, self.dilation = size, strides, first, dilation

    @property
    def extent(self) -> int:
        """From a window's first cell to its last, both counted."""
        return (self.size - 1) * self.dilation + 1

    def count(self, source: Shape, padding: int) -> list[int]:
        """How many windows there are down and across a picture with `padding` more cells; 0 where none fits."""
        sides = zip(source[1:], self.strides, strict=True)
        return [count_windows(side + padding, self.size, stride) for side, stride in sides]

    def take(self, x: Array, counts: Sequence[int], fill: float = 0) -> Array:
        """The cells of `x` in each window, as n x channels x `counts` x rows x columns of a window; `fill` outside."""
        before = [(0, 0), (0, 0)]
        edges = [(self.first, after) for after in self.reach_beyond(x.shape[2:], counts)]
        padded = np.pad(x, [*before, *edges], constant_values=fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.extent, self.extent), axis=(2, 3))
        down, across = self.strides
        windows = windows[:, :, ::down, ::across, :: self.dilation, :: self.dilation]
        return windows[:, :, : counts[0], : counts[1]]

    def add_up(self, taps: Array, shape: Sequence[int]) -> Array:
        """For each cell of pictures n x channels x height x width, the sum of its `taps`, in the layout of `take`."""
        counts, (height, width) = taps.shape[2:4], shape[2:]
        after = self.reach_beyond((height, width), counts)
        sides = (self.first + height + after[0], self.first + width + after[1])
        padded = np.zeros((*shape[:2], *sides), taps.dtype)
        for row, column in np.ndindex(self.size, self.size):
            rows, columns = (
                slice(tap * self.dilation, tap * self.dilation + (count - 1) * stride + 1, stride)
                for tap, count, stride in zip((row, column), counts, self.strides, strict=True)
            )
            padded[:, :, rows, columns] += taps[..., row, column]
        return padded[:, :, self.first : self.first + height, self.first : self.first + width]

    def reach_beyond(self, sides: Sequence[int], counts: Sequence[int]) -> list[int]:
        """How many cells the last window reaches beyond each side."""
        last = zip(sides, counts, self.strides, strict=True)
        return [max(0, (count - 1) * stride - self.first + self.extent - side) for side, count, stride in last]


def set_up_pooling(layer: Pooling, source: Shape, dense: bool = False) -> tuple[int, int, int, list[int]]:
    """The stride, size and padding that a layer's options result in, and how many windows its input has.

    Parameters
    ----------
    layer : Pooling
    source : Shape
        Its input's.
    dense : bool
        Whether windows lie one cell apart, whatever the stride.

    Raises
    ------
    CfgError
        Where a window is larger than the padded input, or may lie wholly outside the picture.
    """
    stride = layer.stride_x if layer.stride_x == layer.stride_y else layer.stride
    size = layer.size or layer.stride
    padding = size - 1 if layer.padding < 0 else layer.padding
    if (padding + 1) // 2 >= size:
        raise layer.section.error(f"a window of {size} would lie wholly outside the picture", "padding")
    strides = (1, 1) if dense else (layer.stride_y, layer.stride_x)
    counts = Windows(size, strides, padding // 2).count(source, padding)
    if 0 in counts:
        reason = f"larger than its input, {source.width} x {source.height} with padding {padding}"
        raise layer.section.error(reason, "size")
    return stride, size, padding, counts
