"""An earlier output with its channels or its cells multiplied by factors."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice, flag, integer
from .activations import ACTIVATIONS, differentiate
from .base import Array, Arrays, Gradients, Saved, Shape
from .multiplying import Multiplying


class ScaleChannels(Multiplying):
    """The output of layer `from`, each channel times its factor, then an activation; the input holds the factors.

    With `scale_wh` it holds one for each cell instead. Source: AlexeyAB's darknet, ``scale_channels_layer.c``.
    """

    kind = "scale_channels"
    overwrites = 1
    options = {"from": integer(), "scale_wh": flag(), "activation": choice(ACTIVATIONS, "linear")}
    scale_wh: bool

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        factors = Shape(1, *other[1:]) if self.scale_wh else Shape(other.channels, 1, 1)
        if source != factors:
            shown = " x ".join(map(str, factors))
            reason = f"for an output of {' x '.join(map(str, other))} factors of {shown} are expected before this layer"
            raise self.section.error(f"{reason}, not {' x '.join(map(str, source))}", "from")
        return other

    def grows(self, growing: Sequence[bool]) -> bool | None:
        """See `Layer`; factors of channels do not grow."""
        if self.scale_wh:
            return super().grows(growing)
        return None if growing[0] else growing[1]

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        of_factors = (delta * saved["other"]).sum(axis=1 if self.scale_wh else (2, 3), keepdims=True)
        return Gradients((of_factors, delta * saved["source"]), {})
