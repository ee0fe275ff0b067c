"""Maximum over windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cfg import flag, integer
from .base import MAX_SIDE, Array, Arrays, Drawn, Gradients, Layer, Saved, Shape, count_windows


class MaxPool(Layer):
    """Maximum over `size` x `size` windows that start at -(padding // 2), `stride` apart.

    `padding` counts both edges together; cells outside the picture do not count.
    """

    kind = "maxpool"
    aliases = ("max",)
    options = {
        "stride": integer(1, least=1, most=MAX_SIDE),
        "size": integer(0, least=1, most=MAX_SIDE),
        "padding": integer(-1, least=0, most=2 * MAX_SIDE),
    }
    unsupported = {
        "stride_x": integer(follows="stride"),
        "stride_y": integer(follows="stride"),
        "maxpool_depth": flag(),
        "out_channels": integer(1),
        "antialiasing": flag(),
        "maxpool_zero_nonmax": flag(),
    }
    stride: int
    size: int
    padding: int

    def _set_up(self, source: Shape) -> Shape:
        self.size = self.size or self.stride
        if self.padding < 0:
            self.padding = self.size - 1
        if (self.padding + 1) // 2 >= self.size:
            reason = f"a window of {self.size} would lie wholly outside the picture"
            raise self.section.error(reason, "padding")
        windows = [count_windows(d + self.padding, self.size, self.stride) for d in source[1:]]
        if 0 in windows:
            reason = f"larger than its input, {source.width} x {source.height} with padding {self.padding}"
            raise self.section.error(reason, "size")
        return Shape(source.channels, *windows)

    def listing(self) -> str:
        channels, height, width = self.input_shapes[0]
        return f"Maxpool Layer: {height} x {width} x {channels} image, {self.size} size, {self.stride} stride"

    def table_row(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"max          {self.size} x {self.size} / {self.stride}"
            f"  {width:4d} x{height:4d} x{channels:4d}"
            f"   ->  {out.width:4d} x{out.height:4d} x{out.channels:4d}"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return self._windows(inputs[0]).max(axis=(4, 5))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        return self.forward(inputs, parameters), {"inputs": inputs[0]}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """To the first of a window's largest cells, row by row."""
        x, first = saved["inputs"], self.padding // 2
        windows = self._windows(x)
        largest = windows.reshape(*windows.shape[:4], -1).argmax(axis=4)
        image, channel, row, column = np.indices(largest.shape, sparse=True)
        rows = row * self.stride + largest // self.size - first
        columns = column * self.stride + largest % self.size - first
        gradient = np.zeros_like(x)
        np.add.at(gradient, (image, channel, rows, columns), delta)
        return Gradients((gradient,), {})

    def _windows(self, x: Array) -> Array:
        """As n x channels x height x width of the output x rows x columns of a window."""
        first = self.padding // 2
        # The last window reaches this far; where it stays inside, the cells behind it do not matter.
        after = [
            max(0, (out - 1) * self.stride - first + self.size - d)
            for out, d in zip(self.shape[1:], x.shape[2:], strict=True)
        ]
        edges = [(0, 0), (0, 0), *((first, last) for last in after)]
        padded = np.pad(x, edges, constant_values=-np.inf)
        windows = sliding_window_view(padded, (self.size, self.size), axis=(2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride]
        return windows[:, :, : self.shape.height, : self.shape.width]
