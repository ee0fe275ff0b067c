"""Spatial attention: the input times an earlier output."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice, integer
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape


class Sam(Layer):
    """Each value of the input times that of layer `from`, then an activation.

    Source: AlexeyAB's darknet, ``sam_layer.c``.
    """

    kind = "sam"
    elementwise = True
    options = {"from": integer(), "activation": choice(ACTIVATIONS, "linear")}
    activation: str

    def _find_inputs(self) -> tuple[int, ...]:
        return self._find_pair()

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        if source != other:
            shapes = " and ".join(" x ".join(map(str, shape)) for shape in (source, other))
            raise self.section.error(f"{shapes} are multiplied; equal shapes are expected", "from")
        return source

    def listing(self) -> str:
        return f"scale Layer: {self.inputs[1]}"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, inputs[0] * inputs[1])

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = inputs[0] * inputs[1]
        y = activate(self.activation, x)
        return y, {"source": inputs[0], "other": inputs[1], "activated": keep(self.activation, x, y)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        return Gradients((delta * saved["other"], delta * saved["source"]), {})
