"""Mean over each plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Array, Arrays, Gradients, Layer, Saved, Shape


class AvgPool(Layer):
    """The mean of each channel's plane: 1 x 1 cell is left."""

    kind = "avgpool"
    pools_all = True
    averages = True

    def _set_up(self, source: Shape) -> Shape:
        return Shape(source.channels, 1, 1)

    def listing(self) -> str:
        channels, height, width = self.input_shapes[0]
        return f"Avgpool Layer: {width} x {height} x {channels} image"

    def table_row(self) -> str:
        channels, height, width = self.input_shapes[0]
        return f"avg                     {width:4d} x{height:4d} x{channels:4d}   ->  {channels:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return inputs[0].mean(axis=(2, 3), keepdims=True)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        channels, height, width = self.input_shapes[0]
        return Gradients((np.broadcast_to(delta / (height * width), (len(delta), channels, height, width)),), {})
