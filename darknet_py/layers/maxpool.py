"""Maximum over windows, or over channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import flag, integer
from .base import Array, Arrays, Drawn, Gradients, Saved, Shape
from .blur import ANTIALIASING, Blurring
from .windows import POOLING, Windows, set_up_pooling


class MaxPool(Blurring):
    """Maximum over `size` x `size` windows that start at -(padding // 2), `stride` apart.

    `padding` counts both edges together; cells outside the picture do not count. With `maxpool_depth` there are no
    windows: channel g of `out_channels` is the maximum over the channels g, g + out_channels, ... at each cell.
    """

    kind = "maxpool"
    options = {**POOLING, "out_channels": integer(1, least=1)}
    extras = {
        "stride_x": integer(follows="stride", least=1),
        "stride_y": integer(follows="stride", least=1),
        "maxpool_depth": flag(),
        "antialiasing": ANTIALIASING,
    }
    unsupported = {"maxpool_zero_nonmax": flag()}
    stride: int
    size: int
    padding: int
    maxpool_depth: bool
    out_channels: int

    def _set_up(self, source: Shape) -> Shape:
        self.stride, self.size, self.padding, counts = set_up_pooling(self, source, bool(self.antialiasing))
        if self.maxpool_depth:
            if self.out_channels > source.channels:
                raise self.section.error(f"at most {source.channels} is expected", "out_channels")
            if self.antialiasing:
                raise self.section.error("not supported with maxpool_depth", "antialiasing")
            self.sharp = Shape(self.out_channels, *source[1:])
        else:
            self.sharp = Shape(source.channels, *counts)
        return self._blurred_shape()

    @property
    def halves(self) -> bool:  # type: ignore[override]
        """See `Layer`."""
        return (self.size, self.stride, self.padding) == (2, 2, 1) and not self.special

    @property
    def windows(self) -> Windows:
        """Where its windows lie."""
        return Windows(self.size, self.sharp_strides, self.padding // 2)

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
        return self._blurred(self._candidates(inputs[0]).max(axis=-1))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        return self.forward(inputs, parameters), {"inputs": inputs[0]}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """The delta goes to the first of the largest values, row by row, or channel by channel."""
        delta = self._sharpened(delta)
        x = saved["inputs"]
        largest = self._candidates(x).argmax(axis=-1)
        image, channel, row, column = np.indices(largest.shape, sparse=True)
        if self.maxpool_depth:
            channel = channel + largest * self.out_channels
        else:
            down, across = self.windows.strides
            row = row * down + largest // self.size - self.windows.first
            column = column * across + largest % self.size - self.windows.first
        gradient = np.zeros_like(x)
        np.add.at(gradient, (image, channel, row, column), delta)
        return Gradients((gradient,), {})

    def _candidates(self, x: Array) -> Array:
        """The values of which each output is the maximum, as n x channels x height x width x values."""
        if self.maxpool_depth:
            missing = -x.shape[1] % self.out_channels
            filled = np.pad(x, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=-np.inf)
            return np.moveaxis(filled.reshape(len(x), -1, *self.sharp), 1, -1)
        windows = self.windows.take(x, self.sharp[1:], -np.inf)
        return windows.reshape(*windows.shape[:4], -1)
