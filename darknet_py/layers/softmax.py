"""Softmax: values to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import integer, number, text
from .base import Array, Layer, Parameters, Shape


class Softmax(Layer):
    """Softmax of input / temperature within each of `groups` equal runs of the flattened input."""

    kind = "softmax"
    aliases = ("soft",)
    options = {
        "groups": integer(1, least=1),
        "temperature": number(1),
    }
    ignored = ("noloss",)
    unsupported = {"tree": text(), "spatial": number(0)}
    groups: int
    temperature: float

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

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        x = inputs[0].reshape(len(inputs[0]), self.groups, -1) / np.float32(self.temperature)
        powers = np.exp(x - x.max(axis=2, keepdims=True))
        return (powers / powers.sum(axis=2, keepdims=True)).reshape(inputs[0].shape)
