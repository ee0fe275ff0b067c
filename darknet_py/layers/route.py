"""Earlier outputs, or parts of them, one after another along the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import integer, integers
from .base import Array, Arrays, Gradients, Layer, Saved, Shape


class Route(Layer):
    """Concatenation of the outputs of the layers named; of each the part `group_id` of `groups` equal ones."""

    kind = "route"
    options = {"layers": integers()}
    extras = {"groups": integer(1, least=1), "group_id": integer(0, least=0)}
    layers: list[int] | None
    groups: int
    group_id: int

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
            if other.channels % self.groups:
                raise self.section.error(f"does not divide the {other.channels} channels of layer {index}", "groups")
        if self.group_id >= self.groups:
            raise self.section.error(f"below groups={self.groups} is expected", "group_id")
        return Shape(sum(s.channels for s in self.input_shapes) // self.groups, source.height, source.width)

    @property
    def concatenates(self) -> bool:  # type: ignore[override]
        """Whether whole outputs are joined."""
        return self.groups == 1

    @property
    def idle(self) -> bool:  # type: ignore[override]
        """Whether there is nothing to join."""
        return len(self.inputs) == self.groups == 1

    @property
    def parts(self) -> list[slice]:
        """The channels that it takes of each input."""
        sizes = [shape.channels // self.groups for shape in self.input_shapes]
        return [slice(self.group_id * size, (self.group_id + 1) * size) for size in sizes]

    def listing(self) -> str:
        return "Route Layer: " + self._named_layers()

    def table_row(self) -> str:
        return "route  " + self._named_layers()

    def _named_layers(self) -> str:
        part = "" if self.groups == 1 else f"   {self.group_id}/{self.groups}"
        return " ".join(map(str, self.inputs)) + part

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return np.concatenate([x[:, part] for x, part in zip(inputs, self.parts, strict=True)], axis=1)

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        gradients = tuple(np.zeros((len(delta), *shape), delta.dtype) for shape in self.input_shapes)
        ends = np.cumsum([shape.channels // self.groups for shape in self.input_shapes])
        for gradient, part, own in zip(gradients, self.parts, np.split(delta, ends[:-1], axis=1), strict=True):
            gradient[:, part] = own
        return Gradients(gradients, {})
