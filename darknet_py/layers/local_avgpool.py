"""Mean over windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import integer
from .base import Array, Arrays, Gradients, Layer, Saved, Shape
from .windows import POOLING, Windows, set_up_pooling


class LocalAvgPool(Layer):
    """Mean over `size` x `size` windows that start at -(padding // 2); cells outside the picture do not count.

    Source: AlexeyAB's darknet, ``maxpool_layer.c`` (forward_local_avgpool_layer).
    """

    kind = "local_avgpool"
    options = {
        **POOLING,
        "stride_x": integer(follows="stride", least=1),
        "stride_y": integer(follows="stride", least=1),
    }
    stride: int
    stride_x: int
    stride_y: int
    size: int
    padding: int

    def _set_up(self, source: Shape) -> Shape:
        self.stride, self.size, self.padding, counts = set_up_pooling(self, source)
        return Shape(source.channels, *counts)

    @property
    def windows(self) -> Windows:
        """Where its windows lie."""
        return Windows(self.size, (self.stride_y, self.stride_x), self.padding // 2)

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        strides = f"{self.stride_x:2d}" if self.stride_x == self.stride_y else f"{self.stride_x}x{self.stride_y}"
        return (
            f"avg               {self.size:2d}x{self.size:2d}/{strides}   {width:4d} x{height:4d} x{channels:4d}"
            f" -> {out.width:4d} x{out.height:4d} x{out.channels:4d}"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        x = inputs[0]
        return self.windows.take(x, self.shape[1:]).sum(axis=(4, 5)) / self._counts().astype(x.dtype)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        shares = delta / self._counts().astype(delta.dtype)
        taps: Array = np.broadcast_to(shares[..., None, None], (*shares.shape, self.size, self.size))
        return Gradients((self.windows.add_up(taps, (len(delta), *self.input_shapes[0])),), {})

    def _counts(self) -> Array:
        """How many cells of each window lie in the picture."""
        ones = np.ones((1, 1, *self.input_shapes[0][1:]), np.float32)
        return self.windows.take(ones, self.shape[1:]).sum(axis=(4, 5))
