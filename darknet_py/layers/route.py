"""Earlier outputs, one after another along the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import integer, integers
from .base import Array, Arrays, Gradients, Layer, Saved, Shape


class Route(Layer):
    """Concatenation of the outputs of the layers named."""

    kind = "route"
    concatenates = True
    options = {"layers": integers()}
    unsupported = {"groups": integer(1), "group_id": integer(0)}
    layers: list[int] | None

    def _find_inputs(self) -> tuple[int, ...]:
        if not self.layers:
            raise self.section.error("layers= is missing: the outputs to join")
        return tuple(self._earlier("layers", value) for value in self.layers)

    def _set_up(self, source: Shape) -> Shape:
        for index, other in zip(self.inputs, self.input_shapes, strict=True):
            if other[1:] != source[1:]:
                reason = (
                    f"layer {self.inputs[0]} is {source.width} x {source.height},"
                    f" layer {index} is {other.width} x {other.height}; they must agree"
                )
                raise self.section.error(reason, "layers")
        return Shape(sum(s.channels for s in self.input_shapes), source.height, source.width)

    @property
    def idle(self) -> bool:  # type: ignore[override]
        """Whether there is nothing to join."""
        return len(self.inputs) == 1

    def listing(self) -> str:
        return "Route Layer: " + " ".join(map(str, self.inputs))

    def table_row(self) -> str:
        return "route  " + " ".join(map(str, self.inputs))

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return np.concatenate(inputs, axis=1)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        ends = np.cumsum([shape.channels for shape in self.input_shapes])
        return Gradients(tuple(np.split(delta, ends[:-1], axis=1)), {})
