"""Dropout: nothing at inference."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import number
from .base import Array, Layer, Parameters, Shape


class Dropout(Layer):
    """Passes its input on."""

    kind = "dropout"
    idle = True
    options = {"probability": number(0.5, matters=False)}
    ignored = ("dropblock", "dropblock_size_rel", "dropblock_size_abs")
    probability: float

    def _set_up(self, source: Shape) -> Shape:
        return source

    def listing(self) -> str:
        return f"Dropout Layer: {self.shape.size} inputs, {self.probability:f} probability"

    def table_row(self) -> str:
        return f"dropout       p = {self.probability:.2f}               {self.shape.size:4d}  ->  {self.shape.size:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        return inputs[0]
