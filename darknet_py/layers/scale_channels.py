"""An earlier output, its channels or its cells times factors."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice, flag, integer
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape


class ScaleChannels(Layer):
    """The output of layer `from`, each channel times its factor, then an activation; the input holds the factors.

    With `scale_wh` it holds one for each cell instead. Source: AlexeyAB's darknet, ``scale_channels_layer.c``.
    """

    kind = "scale_channels"
    options = {"from": integer(), "scale_wh": flag(), "activation": choice(ACTIVATIONS, "linear")}
    scale_wh: bool
    activation: str

    def _find_inputs(self) -> tuple[int, ...]:
        return self._find_pair()

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        factors = Shape(1, *other[1:]) if self.scale_wh else Shape(other.channels, 1, 1)
        if source != factors:
            shown = " x ".join(map(str, factors))
            reason = f"for an output of {' x '.join(map(str, other))} factors of {shown} are expected before this layer"
            raise self.section.error(f"{reason}, not {' x '.join(map(str, source))}", "from")
        return other

    def grows(self, growing: Sequence[bool]) -> bool | None:
        """See `Layer`: factors of channels do not."""
        if self.scale_wh:
            return super().grows(growing)
        return None if growing[0] else growing[1]

    def listing(self) -> str:
        return f"scale Layer: {self.inputs[1]}"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, inputs[0] * inputs[1])

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = inputs[0] * inputs[1]
        y = activate(self.activation, x)
        return y, {"factors": inputs[0], "other": inputs[1], "activated": keep(self.activation, x, y)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        of_factors = (delta * saved["other"]).sum(axis=1 if self.scale_wh else (2, 3), keepdims=True)
        return Gradients((of_factors, delta * saved["factors"]), {})
