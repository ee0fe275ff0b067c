"""Softmax: values to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..cfg import flag, integer, number, text
from ..forks import cached_property
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape

if TYPE_CHECKING:
    from .tree import Tree


class Softmax(Layer):
    """Softmax of input / temperature within each of `groups` equal runs of the flattened input.

    With `tree`, a file, within each run of classes that have one parent.

    In training it compares its output with the truth, unless `noloss`: the loss is the cross-entropy.
    """

    kind = "softmax"
    frees_inputs = True
    options = {
        "groups": integer(1, least=1),
        "temperature": number(1),
    }
    extras = {"tree": text()}
    training = {"noloss": flag()}
    untrained = {"tree": text()}
    unsupported = {"spatial": number(0)}
    groups: int
    temperature: float
    tree: str | None
    noloss: bool

    def _set_up(self, source: Shape) -> Shape:
        if self.temperature <= 0:
            raise self.section.error("more than 0 is expected", "temperature")
        if source.size % self.groups:
            raise self.section.error(f"does not divide {source.size} inputs", "groups")
        if self.hierarchy is not None and len(self.hierarchy.parents) != source.size:
            reason = f"{len(self.hierarchy.parents)} classes; {source.size} are expected, one for each input"
            raise self.section.error(reason, "tree")
        return source

    @cached_property
    def hierarchy(self) -> Tree | None:  # type: ignore[override]
        """The classes' tree, read from its file; None where there is none."""
        if self.tree is None:
            return None
        from .tree import MAX_BYTES, parse_tree

        found = self.section.read_file("tree", MAX_BYTES)
        return parse_tree(found.content, found.path)

    def listing(self) -> str:
        return f"Softmax Layer: {self.shape.size} inputs"

    def table_row(self) -> str:
        return f"softmax                                        {self.shape.size:4d}"

    @property
    def measures(self) -> bool:  # type: ignore[override]
        """Whether it is not left to a [cost]."""
        return not self.noloss

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        x = inputs[0].reshape(len(inputs[0]), -1)
        if self.hierarchy is None:
            y = self._normalize(x.reshape(len(x), self.groups, -1))
        else:
            y = np.concatenate([self._normalize(x[:, group]) for group in self.hierarchy.groups], axis=1)
        return y.reshape(inputs[0].shape)

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        output = self.forward(inputs, parameters)
        return output, {"output": output} if self.inner else {}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """Passes the delta on: truth - prediction, from a cost after it, is the gradient of the cross-entropy.

        Where it is `inner`, it computes its own gradient.
        """
        if not self.inner:
            return Gradients((delta,), {})
        y = saved["output"].reshape(len(delta), -1)
        gradient = y * delta.reshape(y.shape)
        for run in self._runs:
            gradient[:, run] -= y[:, run] * gradient[:, run].sum(axis=1, keepdims=True)
        return Gradients(((gradient / np.float32(self.temperature)).reshape(delta.shape),), {})

    def measure(self, inputs: Sequence[Array], output: Array, truths: Array) -> tuple[float, Array]:
        """-log of the probability of each class that is true; the delta is darknet's: without the temperature."""
        exponents = self._exponents(inputs[0].reshape(len(output), self.groups, -1))
        losses = np.log(np.exp(exponents).sum(axis=2, keepdims=True)) - exponents
        loss = losses[truths.reshape(losses.shape) != 0].sum(dtype=np.float64)
        return float(loss), truths.reshape(output.shape) - output

    @property
    def _runs(self) -> list[slice]:
        """The runs of values whose probabilities sum up to 1."""
        if self.hierarchy is not None:
            return self.hierarchy.groups
        size = self.shape.size // self.groups
        return [slice(start, start + size) for start in range(0, self.shape.size, size)]

    def _normalize(self, x: Array) -> Array:
        powers = np.exp(self._exponents(x))
        return powers / powers.sum(axis=-1, keepdims=True)

    def _exponents(self, x: Array) -> Array:
        x = x / np.float32(self.temperature)
        return x - x.max(axis=-1, keepdims=True)
