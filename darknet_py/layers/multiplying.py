"""What layers that multiply their input by an earlier output have in common."""

from __future__ import annotations

from collections.abc import Sequence

from .activations import activate, keep
from .base import Array, Arrays, Drawn, Layer, Saved


class Multiplying(Layer):
    """The input times the output of layer `from`, then an activation."""

    activation: str

    def _find_inputs(self) -> tuple[int, ...]:
        return self._find_pair()

    def listing(self) -> str:
        return f"scale Layer: {self.inputs[1]}"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, inputs[0] * inputs[1])

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = inputs[0] * inputs[1]
        y = activate(self.activation, x)
        return y, {"source": inputs[0], "other": inputs[1], "activated": keep(self.activation, x, y)}
