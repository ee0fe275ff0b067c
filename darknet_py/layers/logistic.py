"""Logistic: each value to a probability of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .activations import activate
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved


class Logistic(Layer):
    """1 / (1 + exp(-x)) of each value.

    In training it compares its output with the truth: the loss is the cross-entropy of each value. Source: darknet's
    ``logistic_layer.c``.
    """

    kind = "logistic"
    frees_inputs = True
    overwrites = 0
    measures = True

    def listing(self) -> str:
        return f"logistic x entropy                             {self.shape.size:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return activate("logistic", inputs[0])

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        output = self.forward(inputs, parameters)
        return output, {"output": output} if self.inner else {}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """Passes the delta on: truth - prediction is the gradient of its loss with respect to its input.

        Where it is `inner`, it computes its own gradient.
        """
        return Gradients((delta * saved["output"] * (1 - saved["output"]) if self.inner else delta,), {})

    def measure(self, inputs: Sequence[Array], output: Array, truths: Array) -> tuple[float, Array]:
        """-t log(p) - (1 - t) log(1 - p) for each value p and its truth t."""
        x, truths = inputs[0], truths.reshape(output.shape)
        losses = np.logaddexp(0, x) - truths * x
        return float(losses.sum(dtype=np.float64)), truths - output
