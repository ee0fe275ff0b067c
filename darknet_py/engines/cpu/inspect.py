"""What the CPU engine would do with a network, and how long it takes: for `darknet plan` and `darknet speed`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...layers import Array, Layer, Shape
from ...layers.convolutional import Convolutional
from ..passes import compile_steps
from .algorithms import Choice, Operands, choose
from .algorithms.connected import multiply_images
from .algorithms.weights import pack_matrix
from .arena import Store, address
from .builder import Table
from .isa import COLUMNS, ISA, LANES, MACHINE, ROWS
from .lowering import explain_definition, no_kernel
from .plan import CpuEngine
from .team import team_of, thread_count

SIZES = {"float32": 4, "bfloat16": 2}  # bytes of an activation or parameter, but a few


@dataclass(frozen=True)
class Forecast:
    """How a layer would run, and how fast.

    Attributes
    ----------
    layer : Layer
    implementation : str
        ``algorithm:isa``; empty where nothing is computed, or it is done by the layer before.
    reason : str
        Why it, or its activation, runs by its definition; empty where it does not.
    declined : list of Choice
        The other implementations, each with its predicted cycles or its reason.
    bytes : int
        Of weights, input and output.
    cycles : float
        Predicted for one picture on one core; 0 where there is no model.
    """

    layer: Layer
    implementation: str
    reason: str
    declined: list[Choice]
    bytes: int
    cycles: float

    @property
    def seconds(self) -> float:
        """`cycles` on the machine that the model was made on."""
        return self.cycles / MACHINE.clock


@dataclass(frozen=True)
class Measured:
    """How long layers take: the best of several rounds, as other programs' turns only add to it.

    Attributes
    ----------
    seconds : dict of int to float
        Of each layer.
    total : float
        Seconds of a whole run.
    peak : float
        Floating-point operations a second of the micro-kernel on operands that lie in the caches.
    """

    seconds: dict[int, float]
    total: float
    peak: float


def plan_layers(layers: Sequence[Layer], precision: str = "float32") -> list[Forecast]:
    """How each layer would run."""
    program = compile_steps(layers, LANES)
    running = {step.layer for step in program.steps if step.task == "layer"}
    forecasts = []
    for layer in layers:
        choices = choose(layer, precision)
        if layer.index not in running:
            name = reason = ""
        elif choices:
            name = choices[0].implementation
        else:
            name = "definition" if no_kernel(layer) else f"{layer.kind}:{ISA.name}"
        if layer.index in running:
            reason = explain_definition(layer, choices[0] if choices else None)
        values = layer.shape.size + sum(shape.size for shape in layer.input_shapes)
        values += layer.parameter_count
        cycles = choices[0].cycles if choices else 0.0
        forecasts.append(Forecast(layer, name, reason, choices[1:], SIZES[precision] * values, cycles))
    return forecasts


def plan_memory(layers: Sequence[Layer], precision: str = "float32") -> tuple[list[int], int]:
    """Bytes of each buffer that layers share, and of the workspace of convolutions, for one picture."""
    slots = [SIZES[precision] * size for size in compile_steps(layers, LANES).slot_sizes(layers)]
    algorithms = [(layer, choice.algorithm) for layer in layers for choice in choose(layer, precision)[:1]]
    spaces = [algorithm.workspace(layer, 1, thread_count(None)) for layer, algorithm in algorithms if algorithm]
    return slots, max(spaces, default=0)


def measure_layers(
    layers: Sequence[Layer], batch: int, threads: int | None, precision: str = "float32", rounds: int = 15
) -> Measured:
    """Run layers with made-up parameters, and the micro-kernel in between, so that both meet the machine alike."""
    engine = CpuEngine(layers, _made_up(layers), threads, precision)
    plan, product = engine.plan(layers), _Product(threads)
    images = np.random.default_rng(0).random((batch, *layers[0].input_shapes[0]), np.float32)
    plan.run(images)
    runs, total, rate = [], math.inf, 0.0
    for _ in range(rounds):
        runs.append(plan.measure(images))
        start = time.perf_counter()
        plan.run(images)
        total = min(total, time.perf_counter() - start)
        rate = max(rate, product.measure())
    return Measured({index: min(run[index] for run in runs) for index in runs[0]}, total, rate)


class _Product:
    """A product of matrices that lie in the caches, done over and over, each time short enough to be left alone."""

    depth, channels, pixels, times = 512, 4 * COLUMNS * LANES, 16 * ROWS, 16

    def __init__(self, threads: int | None) -> None:
        self.team, packing = team_of(thread_count(threads)), Table()
        values, ones = np.ones((self.channels, self.depth, 1), np.float32), np.ones(self.channels, np.float32)
        self.weights = pack_matrix(packing, Store(), values, ones, 0 * ones)
        packing.freeze()
        packing.run(self.team)
        self.source = np.ones(self.depth * self.pixels, np.float32)
        self.target = np.empty(self.channels * self.pixels, np.float32)
        operands = Operands(
            images=self.pixels,
            source=address(self.source),
            target=address(self.target),
            residual=0,
            workspace=0,
            source_shape=Shape(self.depth, 1, 1),
            shape=Shape(self.channels, 1, 1),
            slope=1,
            final=1,
        )
        self.table = Table()
        for number in range(self.times):
            self.table.layer = number
            multiply_images(self.table, self.weights, operands)
        self.table.freeze()

    def measure(self) -> float:
        """Floating-point operations a second, at best."""
        seconds = [0.0] * self.times
        for number, took in self.table.measure(self.team):
            seconds[number] += took
        return 2 * self.depth * self.channels * self.pixels / min(seconds)


def limit_operations(layer: Layer) -> float:
    """Operations with the best Winograd tile for 3 x 3 windows of stride 1, all of them else.

    A yardstick, not a bound: Strassen's algorithm, and Winograd's for other windows, need fewer.
    """
    if not isinstance(layer, Convolutional) or (layer.size, layer.stride, layer.groups) != (3, 1, 1):
        return layer.operations
    _, height, width = layer.shape
    saved = [(m + 2) ** 2 * math.ceil(height / m) * math.ceil(width / m) / (9 * height * width) for m in (2, 4, 6)]
    return layer.operations * min(1.0, *saved)


def _made_up(layers: Sequence[Layer]) -> Iterator[dict[str, Array]]:
    rng = np.random.default_rng(0)
    for layer in layers:
        yield {
            name: (rng.random(shape, np.float32) + np.float32(0.5)) / np.float32(math.prod(shape[1:]))
            for name, shape in ((name, parameter.shape) for name, parameter in layer.parameters.items())
        }
