"""The recorded training runs of the C program, and the same runs by an engine of ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from conftest import GOLDEN
from support import random_array

from darknet_py.cfg import parse_cfg
from darknet_py.engines import compile_training
from darknet_py.engines.base import TrainingPlan
from darknet_py.layers import Array
from darknet_py.layers.training import rates
from darknet_py.network import Network
from darknet_py.parameters import Parameters
from darknet_py.weights import load_weights

MOST_RECORDED = 8000  # values; where there are more, every 97th is recorded
LEARNED = ("biases", "scales", "weights")  # as the first gradients are recorded, layer by layer


def _load_cases() -> Any:
    spec = importlib.util.spec_from_file_location("training_cases", GOLDEN / "training_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _load_cases()


@cache
def recorded(name: str) -> dict[str, Array]:
    """What the C program computed for the case `name`, without those of its faults that we do not follow."""
    with np.load(GOLDEN / "expected_training.npz") as arrays:
        own, right = (
            {key[len(p) :]: arrays[key] for key in arrays if key.startswith(p)} for p in (f"{name}/", f"{name}@right/")
        )
    return {**own, **right}


class RecordedDraws:
    """Has the methods of NumPy's generator, but gives the numbers that the recorded runs drew."""

    def __init__(self) -> None:
        self.draws = cases.Draws()

    def integers(self, high: int) -> int:
        """From 0 to below `high`."""
        return int(self.draws.integers(1)[0]) % high

    def random(self, size: tuple[int, ...], dtype: Any) -> Array:
        """From 0 to 1."""
        assert dtype is np.float32
        return self.draws.uniform(int(np.prod(size))).reshape(size)


@dataclass
class Training:
    """A network of a recorded case, and how it is trained."""

    network: Network
    parameters: Parameters
    batch: int
    subdivisions: int
    momentum: float
    decay: float


def load_case(name: str, folder: Path) -> Training:
    """The case `name`, with its first weights."""
    network = Network(parse_cfg(cases.cfg_text(name), name), name)
    file = folder / "first.weights"
    file.write_bytes(cases.weights(name, batchnorm_biases=True))
    net = {key: entry.value for key, entry in network.sections[0].entries.items()}
    return Training(
        network,
        load_weights(file, network).parameters.copy(),
        int(net["batch"]),
        int(net["subdivisions"]),
        float(net["momentum"]),
        float(net["decay"]),
    )


def update(plan: TrainingPlan, training: Training, rate: float) -> None:
    """Darknet's update, in which momentum carries the decay."""
    layer_rates = rates(training.network.layers)
    for entry in plan.parameters.entries:
        role, own = entry.parameter.role, layer_rates[entry.layer.index]
        if role == "statistic" or not own:
            continue
        values, gradients = entry.find(plan.parameters.values), entry.find(plan.gradients.values)
        if role == "weight":
            gradients -= np.float32(training.decay * training.batch) * values
        values += np.float32(rate * own / training.batch) * gradients
        gradients *= np.float32(training.momentum)


@dataclass
class Run:
    """The results of a run.

    Attributes
    ----------
    losses : list of float
        Of the iterations, per image.
    first_gradients : list of array
        Before the first update, of each layer that has any: biases, scales, weights.
    weights : array
        At the end, as in a file.
    """

    losses: list[float]
    first_gradients: list[Array]
    weights: Array


def run_case(engine: str, name: str, training: Training, learning_rates: Iterable[float]) -> Run:
    """Train as the recorded run did, an iteration for each of `learning_rates`."""
    size = training.batch // training.subdivisions
    plan = compile_training(engine, training.network.layers, training.parameters, size)
    images, truths = cases.images(name)
    losses, first, random = [], [], RecordedDraws()
    for iteration, rate in enumerate(learning_rates):
        loss = 0.0
        for start in range(iteration * training.batch, (iteration + 1) * training.batch, size):
            chosen = np.arange(start, start + size) % cases.POOL
            loss += plan.step(images[chosen], truths[chosen], random)  # type: ignore[arg-type]  # it draws as one does
        losses.append(loss / training.batch)
        first = first or _gather_gradients(plan)
        update(plan, training, rate)
    return Run(losses, first, plan.read().values)


def first_output(name: str, training: Training) -> Array:
    """The output of the network's layers for the first mini-batch, in training."""
    size = training.batch // training.subdivisions
    values, random = {-1: cases.images(name)[0][:size]}, RecordedDraws()
    for layer, parameters in zip(training.network.layers, training.parameters, strict=True):
        drawn = layer.draw(size, random)  # type: ignore[arg-type]
        values[layer.index], _ = layer.train([values[i] for i in layer.inputs], parameters, drawn)
    return values[training.network.output_layer.index].reshape(size, -1)


def mini_batch(network: Network, batch: int) -> tuple[Array, Array]:
    """Random images, and a class for each."""
    truths = np.zeros((batch, network.outputs), np.float32)
    truths[np.arange(batch), np.arange(batch) % network.outputs] = 1
    return random_array((batch, *network.input_shape)), truths


def thin(values: Array) -> Array:
    """The part of all values together that is recorded."""
    return values[:: 97 if values.size > MOST_RECORDED else 1]


def _gather_gradients(plan: TrainingPlan) -> list[Array]:
    """The gradients of each layer that has any, in the order in which they are recorded."""
    layers = ([own[name].ravel() for name in LEARNED if name in own] for own in plan.gradients.views)
    return [np.concatenate(arrays) for arrays in layers if arrays]
