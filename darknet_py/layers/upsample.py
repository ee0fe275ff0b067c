"""Every cell several times, or sums of several cells."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import integer, number
from .base import MAX_SIDE, Array, Arrays, Gradients, Layer, Saved, Shape


class Upsample(Layer):
    """Every cell repeated `stride` x `stride` times, times `scale`.

    Where `stride` is below 0, the sum of each block of as many cells, times `scale`. Source: darknet's
    ``upsample_layer.c``.
    """

    kind = "upsample"
    resizable = False  # it fits what it is joined with at few sizes of picture only
    options = {"stride": integer(2, least=-MAX_SIDE, most=MAX_SIDE), "scale": number(1)}
    stride: int
    scale: float

    def _set_up(self, source: Shape) -> Shape:
        side = abs(self.stride)
        if side == 0:
            raise self.section.error("at least 1, or at most -1, is expected", "stride")
        if self.stride > 0:
            return Shape(source.channels, source.height * side, source.width * side)
        if source.height % side or source.width % side:
            reason = f"its blocks do not cover {source.width} x {source.height} cells"
            raise self.section.error(reason, "stride")
        return Shape(source.channels, source.height // side, source.width // side)

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"{'upsample  ' if self.stride > 0 else 'downsample'}         {abs(self.stride):2d}x"
            f"  {width:4d} x{height:4d} x{channels:4d}   ->  {out.width:4d} x{out.height:4d} x{out.channels:4d}"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return self._repeat(inputs[0]) if self.stride > 0 else self._sum(inputs[0])

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((self._sum(delta) if self.stride > 0 else self._repeat(delta),), {})

    def _repeat(self, x: Array) -> Array:
        side = abs(self.stride)
        return x.dtype.type(self.scale) * x.repeat(side, axis=2).repeat(side, axis=3)

    def _sum(self, x: Array) -> Array:
        side = abs(self.stride)
        n, channels, height, width = x.shape
        blocks = x.reshape(n, channels, height // side, side, width // side, side)
        return x.dtype.type(self.scale) * blocks.sum(axis=(3, 5))
