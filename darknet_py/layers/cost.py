"""The cost that training minimizes: nothing at inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..cfg import choice, number
from .base import Array, Arrays, Gradients, Layer, Saved

UNKNOWN = -1234  # a truth for which the cell does not count


def _squares(error: Array) -> tuple[Array, Array]:
    return error**2, error


def _magnitudes(error: Array) -> tuple[Array, Array]:
    return np.abs(error), np.where(error > 0, 1, -1)


def _smooth(error: Array) -> tuple[Array, Array]:
    return np.where(np.abs(error) < 1, error**2, 2 * np.abs(error) - 1), np.clip(error, -1, 1)


# truth - prediction -> the loss of each cell, and its delta: half the slope at which the loss falls, for L1 all of it.
# Source: cost_layer.c.
COSTS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "sse": _squares,
    "masked": _squares,
    "seg": _squares,
    "wgan": _squares,
    "L1": _magnitudes,
    "smooth": _smooth,
}


class Cost(Layer):
    """Passes its input on, and in training compares it with the truth; `scale` multiplies the delta, not the loss."""

    kind = "cost"
    answers = False
    idle = True
    measures = True
    training = {"type": choice(COSTS, "sse"), "scale": number(1)}
    untrained = {"ratio": number(0), "noobj": number(1), "thresh": number(0)}
    type: str
    scale: float

    def listing(self) -> str:
        return f"Cost Layer: {self.shape.size} inputs"

    def table_row(self) -> str:
        return f"cost                                           {self.shape.size:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return inputs[0]

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        return Gradients((delta,), {})

    def measure(self, inputs: Sequence[Array], output: Array, truths: Array) -> tuple[float, Array]:
        truths = truths.reshape(output.shape)
        error = truths - output
        if self.type == "masked":
            error = np.where(truths == UNKNOWN, 0, error)
        loss, delta = COSTS[self.type](error)
        return float(loss.sum(dtype=np.float64)), (self.scale * delta).astype(output.dtype, copy=False)
