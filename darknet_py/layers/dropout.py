"""Dropout: nothing at inference, and random zeros in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import flag, number
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved


class Dropout(Layer):
    """Passes its input on; in training each value becomes 0 with `probability`, and the others grow by 1 / (1 - it)."""

    kind = "dropout"
    idle = True
    frees_inputs = True
    options = {"probability": number(0.5, matters=False)}
    untrained = {"dropblock": flag(), "dropblock_size_rel": number(0), "dropblock_size_abs": number(0)}
    probability: float

    def listing(self) -> str:
        return f"Dropout Layer: {self.shape.size} inputs, {self.probability:f} probability"

    def table_row(self) -> str:
        return f"dropout       p = {self.probability:.2f}               {self.shape.size:4d}  ->  {self.shape.size:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return inputs[0]

    @property
    def untrainable(self) -> str:
        return "" if 0 <= self.probability < 1 else f"probability={self.probability:g}; from 0 to below 1 is expected"

    def draw(self, count: int, random: np.random.Generator) -> Drawn:
        """`uniform`: for each value a number from 0 to 1."""
        return {"uniform": random.random((count, *self.shape), np.float32)}

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        factors = self.factors(drawn).astype(inputs[0].dtype, copy=False)
        return inputs[0] * factors, {"factors": factors}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((delta * saved["factors"],), {})

    def factors(self, drawn: Drawn) -> Array:
        """What each value is multiplied by."""
        return np.where(drawn["uniform"] < self.probability, 0, 1 / (1 - self.probability))
