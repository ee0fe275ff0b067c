"""Nothing."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Array, Arrays, Gradients, Layer, Saved, Shape


class Empty(Layer):
    """Passes its input on."""

    kind = "empty"
    idle = True

    def _set_up(self, source: Shape) -> Shape:
        return source

    def listing(self) -> str:
        return "empty"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return inputs[0]

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((delta,), {})
