"""Maximum over windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cfg import flag, integer
from .base import MAX_SIDE, Array, Layer, Parameters, Shape, count_windows


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

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        first = self.padding // 2
        # The last window reaches this far; where it stays inside, the cells behind it do not matter.
        after = [
            max(0, (out - 1) * self.stride - first + self.size - d)
            for out, d in zip(self.shape[1:], inputs[0].shape[2:], strict=True)
        ]
        edges = [(0, 0), (0, 0), *((first, last) for last in after)]
        padded = np.pad(inputs[0], edges, constant_values=-np.inf)
        windows = sliding_window_view(padded, (self.size, self.size), axis=(2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride]
        return windows[:, :, : self.shape.height, : self.shape.width].max(axis=(4, 5))
