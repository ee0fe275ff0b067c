"""An activation as a layer of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved


class Activation(Layer):
    """The activation of every value."""

    kind = "activation"
    overwrites = 0
    options = {"activation": choice(ACTIVATIONS, "linear")}
    activation: str

    def listing(self) -> str:
        return f"Activation Layer: {self.shape.size} inputs"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, inputs[0])

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        output = self.forward(inputs, parameters)
        return output, {"activated": keep(self.activation, inputs[0], output)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((differentiate(self.activation, saved["activated"], delta),), {})
