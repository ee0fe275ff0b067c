"""The CPU engine's training: a mini-batch forward, measured, and backward, all threads at every operation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....layers import Array, Layer
from ....layers.training import check_trainable, first_trained, measuring, rates
from ....parameters import Parameters
from ..arena import Store
from ..team import Team, team_of, thread_count
from .products import Packer, Products
from .trainer import Definition, Trainer, add_delta
from .trainers import TRAINERS, no_kernel
from .values import Calls, Value, Workspace
from .weight_gradients import WeightGradients

INPUT = -1


def compile_training(
    layers: Sequence[Layer], parameters: Parameters, batch: int, threads: int | None = None
) -> CpuTraining:
    """A plan that trains `parameters`, in place, on mini-batches of `batch` images.

    Raises
    ------
    CfgError
        Where the network cannot be trained, or not as its cfg says.
    """
    check_trainable(layers, batch)
    return CpuTraining(layers, parameters, batch, team_of(thread_count(threads)))


class CpuTraining:
    """See `TrainingPlan`.

    Attributes
    ----------
    defined : dict of int to str
        For layers that are trained by their definitions, in NumPy, though these are slow, why.
    """

    random: np.random.Generator

    def __init__(self, layers: Sequence[Layer], parameters: Parameters, images: int, team: Team) -> None:
        self.layers, self.parameters, self.images, self.team = layers, parameters, images, team
        self.gradients = Parameters.zeros(layers)
        self.rates = rates(layers)
        reasons = {layer.index: no_kernel(layer) for layer in layers}
        self.defined = {index: reason for index, reason in reasons.items() if reason}
        self.packing, self.forward, self.backward = Calls(), Calls(), Calls()
        self.store = Store()
        packer, workspace = Packer(self.store, self.packing, team), Workspace(self.store)
        self.products = Products(self.store, workspace, packer, images, team.threads)
        self.weight_gradients = WeightGradients(workspace, images)
        self.values = {layer.index: Value(self.store, layer.shape, images) for layer in layers}
        self.values[INPUT] = Value(self.store, layers[0].input_shapes[0], images)
        self.values[INPUT].make_plain()
        learning = self._find_learning()
        self.deltas = {i: Value(self.store, layers[i].shape, images) for i in learning}
        self._build()

    @property
    def memory(self) -> int:
        """See `TrainingPlan`."""
        return self.store.taken + self.gradients.values.nbytes

    def step(self, images: Array, truths: Array, random: np.random.Generator) -> float:
        """See `TrainingPlan`."""
        self._take(images, truths, random)
        for calls in (self.packing, self.forward, self.backward):
            calls.run(self.team)
        return sum(self.losses) / len(self.losses)

    def measure(self, images: Array, truths: Array, random: np.random.Generator) -> list[tuple[int, str, float]]:
        """A step; for each operation its layer, its name and its seconds."""
        self._take(images, truths, random)
        return [row for calls in (self.packing, self.forward, self.backward) for row in calls.measure(self.team)]

    def read(self) -> Parameters:
        """They are here."""
        return self.parameters

    def _take(self, images: Array, truths: Array, random: np.random.Generator) -> None:
        np.copyto(self.values[INPUT].make_plain(), images)
        self.truths, self.random = truths, random
        self.losses: list[float] = []

    def _find_learning(self) -> list[int]:
        """The layers whose outputs' deltas are of use to one that learns."""
        first, learning = first_trained(self.layers), set[int]()
        for layer in self.layers[first:]:
            learns = self.rates[layer.index] != 0 and bool(layer.taken)
            if learns or learning.intersection(layer.inputs):
                learning.add(layer.index)
        return sorted(learning)

    def _build(self) -> None:
        trainers, measured = list[Trainer](), dict[int, Value]()
        measure = {layer.index for layer in measuring(self.layers)}
        for layer in self.layers:
            self.packing.layer = self.forward.layer = layer.index
            trainer = (Definition if no_kernel(layer) else TRAINERS[type(layer)])(self, layer)
            trainer.add_forward(self.forward)
            trainers.append(trainer)
            if layer.index in measure:
                measured[layer.index] = self._add_measure(layer)
        for trainer in reversed(trainers):
            index, source = trainer.layer.index, trainer.layer.inputs[0]
            self.backward.layer = index
            if index in measured and source in self.deltas:
                add_delta(self.backward, measured[index].blocked(self.backward), self.deltas[source])
            if index in self.deltas and self.deltas[index].filled:
                trainer.add_backward(self.backward)
        for calls in (self.packing, self.forward, self.backward):
            calls.freeze()

    def _add_measure(self, layer: Layer) -> Value:
        """Compare a layer with the truth; the delta that this makes of its first input."""
        inputs = [self.values[source].plain(self.forward) for source in layer.inputs]
        output = self.values[layer.index].plain(self.forward)
        value = Value(self.store, layer.input_shapes[0], self.images)
        target = value.make_plain()

        def compare() -> None:
            loss, delta = layer.measure(inputs, output, self.truths)
            self.losses.append(loss)
            np.copyto(target, delta.reshape(target.shape))

        self.forward.then(compare)
        return value
