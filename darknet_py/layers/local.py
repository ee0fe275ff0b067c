"""Locally connected: a convolution with separate weights at each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..cfg import choice, integer
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import MAX_SIDE, Array, Arrays, Drawn, Gradients, Layer, Saved, Shape
from .parameter import Parameter
from .product import multiply
from .windows import Windows


class Local(Layer):
    """`filters` windows of weights at each place, a bias for each value, then an activation.

    Source: darknet's ``local_layer.c``.
    """

    kind = "local"
    resizable = False
    options = {
        "filters": integer(1, least=1),
        "size": integer(1, least=1, most=MAX_SIDE),
        "stride": integer(1, least=1),
        "pad": integer(0, least=0, most=MAX_SIDE),
        "activation": choice(ACTIVATIONS, "logistic"),
    }
    filters: int
    size: int
    stride: int
    pad: int
    activation: str

    def _set_up(self, source: Shape) -> Shape:
        # Darknet counts windows without the border's width, and takes that many of the windows with it.
        less = 1 if self.pad else self.size
        if any(side < less for side in source[1:]):
            raise self.section.error(f"larger than its input, {source.width} x {source.height}", "size")
        counts = [(side - less) // self.stride + 1 for side in source[1:]]
        if counts != self.windows.count(source, 2 * self.pad):
            reason = f"darknet computes other places with a border of {self.pad} than it counts; {self.size // 2}"
            raise self.section.error(f"{reason} and an odd size are expected, or none", "pad")
        return Shape(self.filters, *counts)

    @property
    def windows(self) -> Windows:
        """Where its windows lie."""
        return Windows(self.size, (self.stride, self.stride), self.pad)

    @property
    def parameters(self) -> dict[str, Parameter]:
        window, places = (self.input_shapes[0].channels, self.size, self.size), self.shape.height * self.shape.width
        return {
            "biases": Parameter(tuple(self.shape), "bias"),
            "weights": Parameter((places, self.filters, *window), "weight", fan_in=math.prod(window)),
        }

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"Local Layer: {height} x {width} x {channels} image, {self.filters} filters"
            f" -> {out.height} x {out.width} x {out.channels} image"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, self._multiply(inputs[0], parameters))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = self._multiply(inputs[0], parameters)
        y = activate(self.activation, x)
        return y, {"inputs": inputs[0], "activated": keep(self.activation, x, y)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        x = saved["inputs"]
        delta = differentiate(self.activation, saved["activated"], delta)
        at_places = delta.reshape(len(delta), self.filters, -1).transpose(2, 0, 1)  # places x n x filters
        weights = multiply(at_places.swapaxes(1, 2), self._columns(x))
        columns = multiply(at_places, self._matrices(parameters))
        taps = columns.transpose(1, 2, 0).reshape(len(x), x.shape[1], self.size, self.size, *self.shape[1:])
        gradient = self.windows.add_up(taps.transpose(0, 1, 4, 5, 2, 3), x.shape)
        shape = parameters["weights"].shape
        return Gradients((gradient,), {"biases": delta.sum(axis=0), "weights": weights.reshape(shape)})

    def _multiply(self, x: Array, parameters: Arrays) -> Array:
        products = multiply(self._columns(x), self._matrices(parameters).swapaxes(1, 2))
        return products.transpose(1, 2, 0).reshape(len(x), *self.shape) + parameters["biases"]

    def _matrices(self, parameters: Arrays) -> Array:
        """The weights, as places x filters x taps."""
        return parameters["weights"].reshape(len(parameters["weights"]), self.filters, -1)

    def _columns(self, x: Array) -> Array:
        """The cells of the window at each place, as places x n x taps."""
        windows = self.windows.take(x, self.shape[1:]).transpose(2, 3, 0, 1, 4, 5)
        return np.ascontiguousarray(windows).reshape(-1, len(x), x.shape[1] * self.size**2)
