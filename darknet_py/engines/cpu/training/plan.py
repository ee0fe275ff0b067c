"""The CPU engine's training: a mini-batch forward, its loss, and backward, with all threads at every operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....layers import Array, Layer
from ....layers.training import check_trainable, first_trained, measuring, rates
from ....parameters import Parameters
from ...base import Update
from ...passes import INPUT
from .. import operations as o
from ..arena import Store, address
from ..builder import Table
from ..team import Team, team_of, thread_count
from .buffers import Buffers
from .calls import Calls
from .products import Products
from .trainer import Definition, Trainer, add_delta
from .trainers import TRAINERS, no_kernel
from .values import Value
from .weight_gradients import WeightGradients

RULES: dict[str, Callable[..., o.Operation]] = {"sgd": o.UpdateSgd, "adam": o.UpdateAdam}


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
    plan = CpuTraining(layers, parameters, batch, thread_count(threads))
    plan.allocate()
    return plan


class CpuTraining:
    """See `TrainingPlan`. It has neither memory nor threads before `allocate`.

    Attributes
    ----------
    trainers : list of Trainer
        One for each layer.
    turn : int
        The number of the first call of the backward pass.
    defined : dict of int to str
        Why layers are trained by their definitions, in NumPy, though that is slow.
    """

    random: np.random.Generator
    team: Team

    def __init__(self, layers: Sequence[Layer], parameters: Parameters, images: int, threads: int) -> None:
        self.layers, self.parameters, self.images, self.threads = layers, parameters, images, threads
        self.gradients = Parameters.zeros(layers)
        self.rates = rates(layers)
        reasons = {layer.index: no_kernel(layer) for layer in layers}
        self.defined = {index: reason for index, reason in reasons.items() if reason}
        self.buffers, self.store, self.copied = Buffers(), Store(), list[tuple[Array, Array]]()
        self.calls = Calls(self.buffers)
        self.products = Products(self.buffers, self.copied, images, threads)
        self.weight_gradients = WeightGradients(self.buffers, images)
        self.values = {layer.index: Value(self.buffers, "output", layer.shape, images) for layer in layers}
        self.values[INPUT] = Value(self.buffers, "output", layers[0].input_shapes[0], images)
        learning = self._find_learning()
        self.deltas = {i: Value(self.buffers, "delta", layers[i].shape, images) for i in learning}
        self.trainers: list[Trainer] = []
        self._build()
        self.calls.lay_out()

    def allocate(self) -> None:
        """Get memory and threads, to be ready for a step."""
        self.team = team_of(self.threads)
        self.calls.allocate()

    @property
    def memory(self) -> int:
        """See `TrainingPlan`."""
        apart = self.calls.apart + self.calls.kept_apart
        return self.gradients.values.nbytes + self.store.taken + self.buffers.size + apart

    def step(self, images: Array, truths: Array, random: np.random.Generator) -> float:
        """See `TrainingPlan`."""
        self._take(images, truths, random)
        self.calls.run(self.team)
        return sum(self.losses) / len(self.losses)

    def measure(self, images: Array, truths: Array, random: np.random.Generator) -> list[tuple[int, str, float]]:
        """Run a step; return the layer, the name and the seconds of each operation."""
        self._take(images, truths, random)
        return self.calls.measure(self.team)

    def update(self, updates: Sequence[Update]) -> None:
        """See `TrainingPlan`."""
        table = Table()
        for update in updates:
            arrays = {name: address(array) for name, array in update.arrays.items()}
            count = min(map(len, update.arrays.values()))
            table.add(RULES[update.rule](count=count, **arrays, **update.numbers))
        table.freeze()
        table.run(self.team)

    def read(self) -> Parameters:
        """See `TrainingPlan`: they are here already."""
        return self.parameters

    def _take(self, images: Array, truths: Array, random: np.random.Generator) -> None:
        self.taken, self.truths, self.random = images, truths, random
        self.losses: list[float] = []
        for target, source in self.copied:
            np.copyto(target[: source.size], source)

    def _give(self, target: Array) -> None:
        """Copy the pictures to `target`, and do not hold them any longer."""
        np.copyto(target, self.taken)
        del self.taken

    def _find_learning(self) -> list[int]:
        """The layers whose outputs' deltas are needed for some layer to learn."""
        first, learning = first_trained(self.layers), set[int]()
        for layer in self.layers[first:]:
            learns = self.rates[layer.index] != 0 and bool(layer.taken)
            if learns or learning.intersection(layer.inputs):
                learning.add(layer.index)
        return sorted(learning)

    def _build(self) -> None:
        measured: dict[int, Value] = {}
        measure = {layer.index for layer in measuring(self.layers)}
        self.calls.then(self._give, self.values[INPUT].make_plain())
        for layer in self.layers:
            self.calls.layer = layer.index
            trainer = (Definition if no_kernel(layer) else TRAINERS[type(layer)])(self, layer)
            trainer.build_forward(self.calls)
            self.trainers.append(trainer)
            if layer.index in measure:
                measured[layer.index] = self._add_measure(layer)
        self.turn = self.calls.count
        for trainer in reversed(self.trainers):
            self.calls.layer, source = trainer.layer.index, trainer.layer.inputs[0]
            if self.calls.layer in measured and source in self.deltas:
                add_delta(self.calls, measured[self.calls.layer].blocked(self.calls), self.deltas[source])
            trainer.build_backward(self.calls)

    def _add_measure(self, layer: Layer) -> Value:
        """Add the comparison of a layer with the truth; return the delta of its first input."""
        inputs = [self.values[source].plain(self.calls) for source in layer.inputs]
        delta = Value(self.buffers, "delta", layer.input_shapes[0], self.images)

        def compare(target: Array, output: Array, *inputs: Array) -> None:
            loss, found = layer.measure(inputs, output, self.truths)
            self.losses.append(loss)
            np.copyto(target, found.reshape(target.shape))

        self.calls.then(compare, delta.make_plain(), self.values[layer.index].plain(self.calls), *inputs)
        return delta
