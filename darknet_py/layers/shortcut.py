"""Residual connection: the input plus an earlier layer's output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import choice, integer, number, text
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape


class Shortcut(Layer):
    """alpha * input + beta * other over the channels and cells that both have, then an activation.

    Where the other has `stride` times the height and width, every `stride`-th of its cells is taken; where it
    has them `spread` times smaller, it is added to every `spread`-th cell of the input.
    """

    kind = "shortcut"
    elementwise = True
    options = {
        "from": integer(),
        "activation": choice(ACTIVATIONS, "linear"),
        "alpha": number(1),
        "beta": number(1),
    }
    unsupported = {"weights_type": text("none"), "weights_normalization": text("none")}
    activation: str
    alpha: float
    beta: float
    stride: int
    spread: int

    def _find_inputs(self) -> tuple[int, ...]:
        source = getattr(self, "from")
        if source is None:
            raise self.section.error("from= is missing: the layer to add")
        if self.index == 0:
            raise self.section.error("no layer comes before this one", "from")
        return (self.index - 1, self._earlier("from", source))

    def _set_up(self, source: Shape) -> Shape:
        other = self.input_shapes[1]
        self.stride = max(1, other.width // source.width)
        self.spread = max(1, source.width // other.width)
        rows = max(1, other.height // source.height), max(1, source.height // other.height)
        if rows != (self.stride, self.spread):
            shapes = " and ".join(f"{s.width} x {s.height}" for s in (source, other))
            raise self.section.error(f"{shapes} differ by unequal factors", "from")
        return source

    @property
    def resizable(self) -> bool:  # type: ignore[override]
        """Darknet resizes no network whose shortcut joins two resolutions."""
        return self.input_shapes[0][1:] == self.input_shapes[1][1:]

    @property
    def adds(self) -> bool:  # type: ignore[override]
        """Whether nothing is scaled, and no picture is smaller."""
        return self.alpha == self.beta == 1 and self.input_shapes[0] == self.input_shapes[1]

    def listing(self) -> str:
        return f"Shortcut Layer: {self.inputs[1]}"

    def table_row(self) -> str:
        source, other = self.input_shapes
        return (
            f"res  {self.inputs[1]:3d}                {other.width:4d} x{other.height:4d} x{other.channels:4d}"
            f"   ->  {source.width:4d} x{source.height:4d} x{source.channels:4d}"
        )

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate(self.activation, self._sum(inputs))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        x = self._sum(inputs)
        y = activate(self.activation, x)
        return y, {"activated": keep(self.activation, x, y)}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        gradients = delta.copy(), np.zeros((len(delta), *self.input_shapes[1]), delta.dtype)
        shared, other = self._views(*gradients)
        other[...] = np.float32(self.beta) * shared
        shared *= np.float32(self.alpha)
        return Gradients(gradients, {})

    def _sum(self, inputs: Sequence[Array]) -> Array:
        x = inputs[0].copy()
        shared, other = self._views(x, inputs[1])
        shared[...] = np.float32(self.alpha) * shared + np.float32(self.beta) * other
        return x

    def _views(self, x: Array, other: Array) -> tuple[Array, Array]:
        """The channels and cells of both that meet."""
        other = other[:, :, :: self.stride, :: self.stride]
        shared = x[:, :, :: self.spread, :: self.spread]
        channels, height, width = (min(a, b) for a, b in zip(shared.shape[1:], other.shape[1:], strict=True))
        return shared[:, :channels, :height, :width], other[:, :channels, :height, :width]
