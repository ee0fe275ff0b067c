"""Antialiasing: every channel is blurred as it is made smaller.

Source: AlexeyAB's darknet, ``convolutional_layer.c`` and ``maxpool_layer.c``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..cfg import Option, integer
from .base import Array, Layer, Shape
from .windows import Windows

ANTIALIASING: Option = integer(0, least=0, most=2)
_FACTORS = {1: (0.25, 0.5, 0.25), 2: (0.5, 0.5)}  # across a window and down
# Darknet gives the layer after a blurred one the blurred size, but layers that name it the size before the blur.
UNNAMED = "it has antialiasing, and darknet itself gives its size before that to layers that name it"


class Blur(NamedTuple):
    """The blur of an option ``antialiasing=`` that is 1 or 2, `strides` cells apart."""

    kind: int
    strides: tuple[int, int]

    @property
    def kernel(self) -> Array:
        """What the cells of a window are multiplied by."""
        return np.outer(_FACTORS[self.kind], _FACTORS[self.kind]).astype(np.float32)

    @property
    def windows(self) -> Windows:
        """Of 3 x 3 cells with a border of one, or of 2 x 2 without."""
        size = len(self.kernel)
        return Windows(size, self.strides, size // 2 if size == 3 else 0)

    def shape(self, source: Shape) -> Shape:
        """The output's shape; 0 where no window fits."""
        windows = self.windows
        return Shape(source.channels, *windows.count(source, 2 * windows.first))

    def forward(self, x: Array, shape: Shape) -> Array:
        """`x` blurred, to pictures of `shape`."""
        return (self.windows.take(x, shape[1:]) * self.kernel.astype(x.dtype)).sum(axis=(4, 5))

    def backward(self, delta: Array, shape: Sequence[int]) -> Array:
        """The backward pass of `forward`: to pictures n x channels x height x width."""
        return self.windows.add_up(delta[..., None, None] * self.kernel.astype(delta.dtype), shape)


class Blurring(Layer):
    """A layer with the option `antialiasing`, which blurs its output.

    Attributes
    ----------
    sharp : Shape
        The output's before the blur; the output's own where nothing is blurred.
    """

    stride_x: int
    stride_y: int
    antialiasing: int
    sharp: Shape

    @property
    def unnamed(self) -> str:  # type: ignore[override]
        """Why no later layer may name it."""
        return UNNAMED if self.antialiasing else ""

    @property
    def blur(self) -> Blur | None:
        """The blur that comes last, if any."""
        return Blur(self.antialiasing, (self.stride_y, self.stride_x)) if self.antialiasing else None

    @property
    def sharp_strides(self) -> tuple[int, int]:
        """How far windows lie apart, down and across, before the blur."""
        return (1, 1) if self.antialiasing else (self.stride_y, self.stride_x)

    def _blurred_shape(self) -> Shape:
        """What `sharp` becomes."""
        if self.blur is None:
            return self.sharp
        shape = self.blur.shape(self.sharp)
        if 0 in shape:
            raise self.section.error(f"{self.sharp.width} x {self.sharp.height} cells are left to blur", "antialiasing")
        return shape

    def _blurred(self, x: Array) -> Array:
        return x if self.blur is None else self.blur.forward(x, self.shape)

    def _sharpened(self, delta: Array) -> Array:
        """The delta before the blur."""
        return delta if self.blur is None else self.blur.backward(delta, (len(delta), *self.sharp))
