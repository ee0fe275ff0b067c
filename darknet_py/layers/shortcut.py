"""Residual connection: the input plus the outputs of earlier layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import choice, integers, number
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape
from .parameter import Parameter

WEIGHTS = {"none": "none", "per_feature": "per_feature", "per_layer": "per_feature", "per_channel": "per_channel"}
NORMALIZATIONS = {"none": "none", "relu": "relu", "avg_relu": "relu", "softmax": "softmax"}
LEAST = 1e-4  # added to what weights are divided by


class Shortcut(Layer):
    """alpha * input + beta * other over the channels and cells that both have, then an activation.

    Where the other has `stride` times the height and width, every `stride`-th of its cells is taken; where it
    has them `spread` times smaller, it is added to every `spread`-th cell of the input.

    There may be several others, of the input's height and width, and weights: one for the input and one for each
    other, or as many for each channel of the input (`weights_type`). They are made positive and to sum up to 1
    (`weights_normalization`). Source: AlexeyAB's darknet, ``blas.c`` (shortcut_multilayer_cpu).
    """

    kind = "shortcut"
    overwrites = 0
    options = {
        "from": integers(),
        "activation": choice(ACTIVATIONS, "linear"),
        "alpha": number(1),
        "beta": number(1),
        "weights_normalization": choice(NORMALIZATIONS, "none"),
    }
    extras = {"weights_type": choice(WEIGHTS, "none")}
    activation: str
    alpha: float
    beta: float
    weights_type: str
    weights_normalization: str
    stride: int
    spread: int

    def _find_inputs(self) -> tuple[int, ...]:
        sources = getattr(self, "from")
        if not sources:
            raise self.section.error("from= is missing: the layer to add")
        if self.index == 0:
            raise self.section.error("no layer comes before this one", "from")
        return (self.index - 1, *(self._earlier("from", source) for source in sources))

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        self.stride = max(1, other.width // source.width)
        self.spread = max(1, source.width // other.width)
        rows = max(1, other.height // source.height), max(1, source.height // other.height)
        if rows != (self.stride, self.spread):
            shapes = " and ".join(f"{s.width} x {s.height}" for s in (source, other))
            raise self.section.error(f"{shapes} differ by unequal factors", "from")
        if self.weighted and self.weights_normalization == "none":
            reason = "weights_normalization= is missing; relu or softmax is expected with weights"
            raise self.section.error(reason, "weights_type")
        if self.weighted or len(self.inputs) > 2:
            self._check_several(source)
        return source

    def _check_several(self, source: Shape) -> None:
        for key in ("alpha", "beta"):
            if getattr(self, key) != 1:
                raise self.section.error("1 is expected with weights or several layers", key)
        for index, shape in zip(self.inputs, self.input_shapes, strict=True):
            if shape[1:] != source[1:]:
                reason = f"layer {index} is {shape.width} x {shape.height}, the input {source.width} x {source.height}"
                raise self.section.error(f"{reason}; with weights or several layers they must agree", "from")

    @property
    def weighted(self) -> bool:
        """Whether it has weights."""
        return self.weights_type != "none"

    @property
    def special(self) -> str:
        """See `Layer`."""
        return super().special or (f"a sum of {len(self.inputs)} outputs" if len(self.inputs) > 2 else "")

    @property
    def parameters(self) -> dict[str, Parameter]:
        columns = self.shape.channels if WEIGHTS[self.weights_type] == "per_channel" else 1
        return {"weights": Parameter((len(self.inputs), columns), "weight", fan_in=0)} if self.weighted else {}

    @property
    def resizable(self) -> bool:  # type: ignore[override]
        """Darknet resizes no network whose shortcut joins two resolutions."""
        return self.input_shapes[0][1:] == self.input_shapes[1][1:]

    @property
    def frees_inputs(self) -> bool:
        """Whether there are no weights, which would learn."""
        return not self.weighted

    @property
    def adds(self) -> bool:  # type: ignore[override]
        """Whether nothing is scaled, and no picture is smaller."""
        return self.alpha == self.beta == 1 and not self.special and self.input_shapes[0] == self.input_shapes[1]

    def listing(self) -> str:
        return "Shortcut Layer: " + ", ".join(map(str, self.inputs[1:]))

    def table_row(self) -> str:
        source, other = self.input_shapes[:2]
        names = " ".join(f"{index:3d}" for index in self.inputs[1:])
        return (
            f"res  {names}                {other.width:4d} x{other.height:4d} x{other.channels:4d}"
            f"   ->  {source.width:4d} x{source.height:4d} x{source.channels:4d}"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, self._sum(inputs, parameters))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = self._sum(inputs, parameters)
        y = activate(self.activation, x)
        saved = {f"input {which}": source for which, source in enumerate(inputs)} if self.weighted else {}
        return y, {**saved, "activated": keep(self.activation, x, y)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        if self.special:
            return self._several_backward(delta, saved, parameters)
        gradients = delta.copy(), np.zeros((len(delta), *self.input_shapes[1]), delta.dtype)
        shared, other = self._views(*gradients)
        other[...] = np.float32(self.beta) * shared
        shared *= np.float32(self.alpha)
        return Gradients(gradients, {})

    def _sum(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        if self.special:
            x = np.zeros_like(inputs[0])
            for other, factor in zip(inputs, self.factors(parameters), strict=True):
                channels = min(x.shape[1], other.shape[1])
                x[:, :channels] += factor[:channels] * other[:, :channels]
            return x
        x = inputs[0].copy()
        shared, other = self._views(x, inputs[1])
        shared[...] = np.float32(self.alpha) * shared + np.float32(self.beta) * other
        return x

    def _several_backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        factors = self.factors(parameters)
        gradients, of_factors = [], np.zeros(factors.shape, delta.dtype)
        for which, (shape, factor) in enumerate(zip(self.input_shapes, factors, strict=True)):
            channels = min(delta.shape[1], shape.channels)
            gradient = np.zeros((len(delta), *shape), delta.dtype)
            gradient[:, :channels] = factor[:channels] * delta[:, :channels]
            gradients.append(gradient)
            if self.weighted:
                products = (delta[:, :channels] * saved[f"input {which}"][:, :channels]).sum(axis=(0, 2, 3))
                of_factors[which, :channels, 0, 0] = products if len(factor) > 1 else products.sum()
        weights = {"weights": self._weights_backward(of_factors[..., 0, 0], parameters)} if self.weighted else {}
        return Gradients(tuple(gradients), weights)

    def factors(self, parameters: Arrays) -> Array:
        """The inputs' factors, as inputs x (channels of the output, or 1 for all of them) x 1 x 1."""
        if not self.weighted:
            return np.ones((len(self.inputs), 1, 1, 1), np.float32)
        positive = self._make_positive(parameters["weights"])
        return (positive / (positive.sum(axis=0) + positive.dtype.type(LEAST)))[..., None, None]

    def _make_positive(self, weights: Array) -> Array:
        if NORMALIZATIONS[self.weights_normalization] == "relu":
            return np.maximum(weights, 0)
        return np.exp(weights - weights.max(axis=0))

    def _weights_backward(self, delta: Array, parameters: Arrays) -> Array:
        """The gradient of the weights, from that of the factors that are made of them."""
        weights = parameters["weights"]
        positive = self._make_positive(weights)
        total = positive.sum(axis=0) + positive.dtype.type(LEAST)
        delta = (delta - (delta * positive).sum(axis=0) / total) / total
        if NORMALIZATIONS[self.weights_normalization] == "relu":
            return delta * (weights > 0)
        delta = delta * positive
        largest = np.arange(len(weights))[:, None] == weights.argmax(axis=0)  # which is subtracted from all
        return delta - largest * delta.sum(axis=0)

    def _views(self, x: Array, other: Array) -> tuple[Array, Array]:
        """The channels and cells of both that are added together."""
        other = other[:, :, :: self.stride, :: self.stride]
        shared = x[:, :, :: self.spread, :: self.spread]
        channels, height, width = (min(a, b) for a, b in zip(shared.shape[1:], other.shape[1:], strict=True))
        return shared[:, :channels, :height, :width], other[:, :channels, :height, :width]
