"""Runs the layers' own NumPy definitions: slow, obvious, and the standard for every other engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..layers import Array, Layer, Saved
from ..layers.counts import count_backward
from ..layers.training import check_trainable, first_trained, measuring, move_statistics, rates
from ..parameters import Parameters
from .base import Update


class ReferenceEngine:
    """Layer by layer, every output kept until nothing needs it."""

    name = "reference"
    interpolate = None
    defined: Mapping[int, str] = {}  # that all layers run so is no surprise here

    def __init__(self, layers: Sequence[Layer], parameters: Iterable[Mapping[str, Array]]) -> None:
        self.parameters = Parameters.gather(layers, parameters)  # a copy: the caller's arrays may change later

    def plan(self, layers: Sequence[Layer]) -> ReferencePlan:
        """A plan for `layers`, shaped for some size of picture."""
        return ReferencePlan(layers, self.parameters)

    def fork(self, threads: int) -> ReferenceEngine:
        """Itself: plans share nothing that changes."""
        return self


class ReferencePlan:
    """The forward pass at one size of picture."""

    def __init__(self, layers: Sequence[Layer], parameters: Parameters) -> None:
        self.layers = layers
        self.parameters = parameters
        self.last_use = {source: layer.index for layer in layers for source in layer.inputs}

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for float32 `batch` (n, channels, height, width)."""
        for _, output in self.outputs(batch):
            answer = output
        return answer.reshape(len(batch), -1)

    def outputs(self, batch: Array) -> Iterator[tuple[Layer, Array]]:
        """Each layer and its output for `batch`, in order, without a last layer that does not answer."""
        values = {-1: batch}
        for layer, parameters in zip(self.layers, self.parameters, strict=True):
            if not layer.answers and layer.index == len(self.layers) - 1 and layer.index:
                return
            values[layer.index] = layer.forward([values[i] for i in layer.inputs], parameters)
            yield layer, values[layer.index]
            for source in set(layer.inputs):
                if self.last_use[source] == layer.index:
                    del values[source]


def compile_training(layers: Sequence[Layer], parameters: Parameters, batch: int) -> ReferenceTraining:
    """A plan that trains `parameters`, in place, on mini-batches of `batch` images.

    Raises
    ------
    CfgError
        Where the network cannot be trained, or not as its cfg says.
    """
    check_trainable(layers, batch)
    return ReferenceTraining(layers, parameters, batch)


class ReferenceTraining:
    """Forward pass, loss and backward pass; every layer's output is kept."""

    defined: Mapping[int, str] = {}

    def __init__(self, layers: Sequence[Layer], parameters: Parameters, batch: int) -> None:
        self.layers = layers
        self.batch = batch
        self.parameters = parameters
        self.gradients = Parameters.zeros(layers)
        self.rates = rates(layers)

    @property
    def memory(self) -> int:
        """See `TrainingPlan`; approximate: gradients, outputs, deltas, what is saved, and the most one layer needs."""
        values = self.layers[0].input_shapes[0].size + count_backward(self.layers)
        return self.gradients.values.nbytes + 4 * self.batch * values

    def step(self, images: Array, truths: Array, random: np.random.Generator) -> float:
        """See `TrainingPlan`."""
        values, saved = self._run_forward(images, random)
        losses, deltas = [], dict[int, Array]()
        for layer in measuring(self.layers):
            loss, delta = layer.measure([values[i] for i in layer.inputs], values[layer.index], truths)
            losses.append(loss)
            _add(deltas, layer.inputs[0], delta)
        self._run_backward(deltas, saved)
        return sum(losses) / len(losses)

    def update(self, updates: Sequence[Update]) -> None:
        """See `TrainingPlan`."""
        for update in updates:
            update.define()

    def read(self) -> Parameters:
        """See `TrainingPlan`."""
        return self.parameters

    def _run_forward(self, images: Array, random: np.random.Generator) -> tuple[dict[int, Array], list[Saved]]:
        """All outputs, by their layers, and what each layer saved."""
        values, saved = {-1: images}, []
        for layer, parameters, rate in zip(self.layers, self.parameters, self.rates, strict=True):
            inputs = [values[i] for i in layer.inputs]
            values[layer.index], kept = layer.train(inputs, parameters, layer.draw(len(images), random))
            saved.append(kept)
            if rate:
                move_statistics(layer, parameters, kept)
        return values, saved

    def _run_backward(self, deltas: dict[int, Array], saved: Sequence[Saved]) -> None:
        """Add to the gradients those that result from `deltas`, which are given by the layers of the outputs."""
        for layer in reversed(self.layers[first_trained(self.layers) :]):
            if layer.index not in deltas:  # nothing that measures depends on it
                continue
            delta = deltas.pop(layer.index)
            gradients = layer.backward(delta, saved[layer.index], self.parameters.views[layer.index])
            for source, gradient in zip(layer.inputs, gradients.inputs, strict=True):
                _add(deltas, source, gradient)
            for name, gradient in gradients.parameters.items():
                if self.rates[layer.index]:
                    self.gradients.views[layer.index][name] += gradient


def _add(deltas: dict[int, Array], index: int, delta: Array) -> None:
    deltas[index] = deltas[index] + delta if index in deltas else delta
