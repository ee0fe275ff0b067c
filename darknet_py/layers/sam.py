"""Spatial attention: the input times an earlier output."""

from __future__ import annotations

from ..cfg import choice, integer
from .activations import ACTIVATIONS, differentiate
from .base import Array, Arrays, Gradients, Saved, Shape
from .multiplying import Multiplying


class Sam(Multiplying):
    """Each value of the input times that of layer `from`, then an activation.

    Source: AlexeyAB's darknet, ``sam_layer.c``.
    """

    kind = "sam"
    overwrites = 0
    options = {"from": integer(), "activation": choice(ACTIVATIONS, "linear")}

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        if source != other:
            shapes = " and ".join(" x ".join(map(str, shape)) for shape in (source, other))
            raise self.section.error(f"{shapes} are multiplied; equal shapes are expected", "from")
        return source

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        return Gradients((delta * saved["other"], delta * saved["source"]), {})
