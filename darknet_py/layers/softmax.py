"""Softmax: values to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import flag, integer, number, text
from .base import Array, Arrays, Gradients, Layer, Saved, Shape


class Softmax(Layer):
    """Softmax of input / temperature within each of `groups` equal runs of the flattened input.

    In training it compares itself with the truth, unless `noloss`: the loss is the cross-entropy.
    """

    kind = "softmax"
    aliases = ("soft",)
    options = {
        "groups": integer(1, least=1),
        "temperature": number(1),
    }
    training = {"noloss": flag()}
    unsupported = {"tree": text(), "spatial": number(0)}
    groups: int
    temperature: float
    noloss: bool

    def _set_up(self, source: Shape) -> Shape:
        if self.temperature <= 0:
            raise self.section.error("more than 0 is expected", "temperature")
        if source.size % self.groups:
            raise self.section.error(f"does not divide {source.size} inputs", "groups")
        return source

    def listing(self) -> str:
        return f"Softmax Layer: {self.shape.size} inputs"

    def table_row(self) -> str:
        return f"softmax                                        {self.shape.size:4d}"

    @property
    def measures(self) -> bool:  # type: ignore[override]
        """Whether no [cost] is left to do it."""
        return not self.noloss

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        powers = np.exp(self._exponents(inputs[0]))
        return (powers / powers.sum(axis=2, keepdims=True)).reshape(inputs[0].shape)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """Passes the delta on: with truth - prediction, of a cost behind it, that is the gradient of cross-entropy."""
        return Gradients((delta,), {})

    def measure(self, inputs: Sequence[Array], output: Array, truths: Array) -> tuple[float, Array]:
        """-log of the probability of each class that is true; the delta is darknet's: without the temperature."""
        exponents = self._exponents(inputs[0])
        losses = np.log(np.exp(exponents).sum(axis=2, keepdims=True)) - exponents
        loss = losses[truths.reshape(losses.shape) != 0].sum(dtype=np.float64)
        return float(loss), truths.reshape(output.shape) - output

    def _exponents(self, x: Array) -> Array:
        x = x.reshape(len(x), self.groups, -1) / np.float32(self.temperature)
        return x - x.max(axis=2, keepdims=True)
