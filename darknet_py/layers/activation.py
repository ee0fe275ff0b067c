"""An activation as a layer of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice
from .activations import ACTIVATIONS, activate
from .base import Array, Layer, Parameters, Shape


class Activation(Layer):
    """The activation of every value."""

    kind = "activation"
    elementwise = True
    options = {"activation": choice(ACTIVATIONS, "linear")}
    activation: str

    def _set_up(self, source: Shape) -> Shape:
        return source

    def listing(self) -> str:
        return f"Activation Layer: {self.shape.size} inputs"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        return activate(self.activation, inputs[0])
