"""The cost that training minimizes: nothing at inference."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Array, Layer, Parameters, Shape


class Cost(Layer):
    """Passes its input on."""

    kind = "cost"
    answers = False
    idle = True
    ignored = ("type", "scale", "ratio", "noobj", "thresh")

    def _set_up(self, source: Shape) -> Shape:
        return source

    def listing(self) -> str:
        return f"Cost Layer: {self.shape.size} inputs"

    def table_row(self) -> str:
        return f"cost                                           {self.shape.size:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        return inputs[0]
