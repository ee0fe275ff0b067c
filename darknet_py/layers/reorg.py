"""Cells to channels, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import flag, integer
from .base import MAX_SIDE, Array, Arrays, Gradients, Layer, Saved, Shape


class _Reordering(Layer):
    """Turns `stride` x `stride` cells into channels, or back."""

    resizable = False  # few sizes of picture can be divided like that
    options = {"stride": integer(1, least=1, most=MAX_SIDE), "reverse": flag()}
    stride: int
    reverse: bool

    def _set_up(self, source: Shape) -> Shape:
        channels, height, width = source
        if self.reverse:
            if channels % self.stride**2:
                raise self.section.error(f"its square does not divide {channels} channels", "stride")
            return Shape(channels // self.stride**2, height * self.stride, width * self.stride)
        if height % self.stride or width % self.stride:
            raise self.section.error(f"does not divide {width} x {height} cells", "stride")
        return Shape(channels * self.stride**2, height // self.stride, width // self.stride)

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"{self.kind:19}/{self.stride:2d}  {width:4d} x{height:4d} x{channels:4d}"
            f"   ->  {out.width:4d} x{out.height:4d} x{out.channels:4d}"
        )


class Reorg(_Reordering):
    """Values in another order: sides `stride` times smaller, stride^2 times the channels; `reverse`: the other way.

    Not by blocks of cells, unlike `Reorg3d`: the value at (k, j, i) of the input's shape, in the order of the output,
    comes from cell (j * stride + o // stride, i * stride + o % stride) of channel k % C, of a picture with
    C = channels / stride^2 and sides `stride` times as long, with o = k // C. Source: darknet's ``blas.c``
    (reorg_cpu).
    """

    kind = "reorg"
    unsupported = {"flatten": flag(), "extra": integer(0)}

    def _set_up(self, source: Shape) -> Shape:
        if source.channels % self.stride**2:
            raise self.section.error(f"its square does not divide {source.channels} channels", "stride")
        return super()._set_up(source)

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        y = self._spread(inputs[0]) if self.reverse else self._gather(inputs[0])
        return y.reshape(len(y), *self.shape)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        gradient = self._gather(delta) if self.reverse else self._spread(delta)
        return Gradients((gradient.reshape(len(delta), *self.input_shapes[0]),), {})

    def _gather(self, x: Array) -> Array:
        """From pictures of C channels, in whatever shape, to those of the input's shape."""
        (channels, height, width), s = self.input_shapes[0], self.stride
        cells = x.reshape(len(x), channels // s**2, height, s, width, s)
        return cells.transpose(0, 3, 5, 1, 2, 4)

    def _spread(self, x: Array) -> Array:
        (channels, height, width), s = self.input_shapes[0], self.stride
        cells = x.reshape(len(x), s, s, channels // s**2, height, width)
        return cells.transpose(0, 3, 4, 1, 5, 2)


class Reorg3d(_Reordering):
    """Blocks of `stride` x `stride` cells to channels, `reverse`: channels to blocks.

    Channel (dy * stride + dx) * channels + c is cell (dy, dx) of each block of channel c. Source: AlexeyAB's darknet,
    ``reorg_layer.c``.
    """

    kind = "reorg3d"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return self._to_blocks(inputs[0]) if self.reverse else self._to_channels(inputs[0])

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((self._to_channels(delta) if self.reverse else self._to_blocks(delta),), {})

    def _to_channels(self, x: Array) -> Array:
        n, channels, height, width = x.shape
        s = self.stride
        cells = x.reshape(n, channels, height // s, s, width // s, s).transpose(0, 3, 5, 1, 2, 4)
        return np.ascontiguousarray(cells).reshape(n, channels * s * s, height // s, width // s)

    def _to_blocks(self, x: Array) -> Array:
        n, channels, height, width = x.shape
        s = self.stride
        cells = x.reshape(n, s, s, channels // s**2, height, width).transpose(0, 3, 4, 1, 5, 2)
        return np.ascontiguousarray(cells).reshape(n, channels // s**2, height * s, width * s)
