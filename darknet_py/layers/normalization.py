"""Local response normalization, across channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import integer, number
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved


class Normalization(Layer):
    """Each value times N^-beta, with N = kappa + alpha times the squares of `size` channels around it, summed.

    Darknet adds to and subtracts from the sum from channel to channel: channel size // 2 is never added, but subtracted
    when its turn comes. Source: darknet's ``normalization_layer.c``.
    """

    kind = "normalization"
    options = {"alpha": number(0.0001), "beta": number(0.75), "kappa": number(1), "size": integer(5, least=1)}
    alpha: float
    beta: float
    kappa: float
    size: int

    def listing(self) -> str:
        channels, height, width = self.shape
        return f"Local Response Normalization Layer: {width} x {height} x {channels} image, {self.size} size"

    @property
    def neighbours(self) -> Array:
        """How often the square of each channel (columns) is in the sum of each channel (rows)."""
        channels = self.shape.channels
        counts = np.zeros((channels, channels), np.float32)
        counts[0, : self.size // 2] = 1
        for channel in range(1, channels):
            counts[channel] = counts[channel - 1]
            past, coming = channel - (self.size - 1) // 2 - 1, channel + self.size // 2
            if past >= 0:
                counts[channel, past] -= 1
            if coming < channels:
                counts[channel, coming] += 1
        return counts

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return inputs[0] * self._sums(inputs[0]) ** inputs[0].dtype.type(-self.beta)

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        return self.forward(inputs, parameters), {"inputs": inputs[0]}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """The gradient; darknet's own treats N as constant."""
        x, type_ = saved["inputs"], saved["inputs"].dtype.type
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = self._sums(x)
            of_sums = delta * x * type_(-self.beta) * sums ** type_(-self.beta - 1)
            through = 2 * type_(self.alpha) * x * np.einsum("kc,nkhw->nchw", self.neighbours.astype(x.dtype), of_sums)
            return Gradients((delta * sums ** type_(-self.beta) + through,), {})

    def _sums(self, x: Array) -> Array:
        squares = np.einsum("kc,nchw->nkhw", self.neighbours.astype(x.dtype), x * x)
        return x.dtype.type(self.kappa) + x.dtype.type(self.alpha) * squares
