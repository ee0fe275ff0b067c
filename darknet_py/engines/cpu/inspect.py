"""What the CPU engine would do with a network, and how long it takes: for `darknet plan` and `darknet speed`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...layers import Array, Layer, Shape
from ...layers.convolutional import Convolutional
from ..exchange import average_first
from ..passes import Program, compile_steps
from .algorithms import AnyAlgorithm, Choice, Operands, choose
from .algorithms.connected import multiply_images
from .algorithms.planar_winograd import PlanarWinograd
from .algorithms.strassen import Strassen
from .algorithms.weights import pack_matrix
from .algorithms.winograd import Winograd, count_points
from .arena import Store, address
from .builder import Table
from .isa import COLUMNS, DOTS, ISA, LANES, MACHINE, ROWS
from .lowering import explain_definition, no_kernel
from .operations import CURVES
from .plan import CpuEngine
from .team import team_of, thread_count

FASTEST = 64 * 6.5e9  # operations a second: no core is known for more a cycle, two registers' products, or more cycles
ROUNDS = 15
INEXACT = 1.05  # how far a time may be off, as a factor
SIZES = {"float32": 4, "bfloat16": 2}  # bytes of an activation or parameter, with few exceptions


@dataclass(frozen=True)
class Forecast:
    """How a layer would run, and how fast.

    Attributes
    ----------
    layer : Layer
    implementation : str
        ``algorithm:isa``, ``kind:isa`` or ``definition``; ``copy`` where values are only copied; empty where nothing is
        done, or the layer before does it.
    reason : str
        Why it, or its activation, runs by its definition; empty where it does not.
    declined : list of Choice
        The other implementations, each with its predicted cycles or the reason why it declines.
    bytes : int
        Of weights, inputs and what is stored; 0 where nothing is computed, or the layer before does it.
    cycles : float
        Predicted for one picture on one core; 0 where there is no model.
    least : float
        Floating-point operations that it cannot do without; those of bfloat16's instructions count half.
    """

    layer: Layer
    implementation: str
    reason: str
    declined: list[Choice]
    bytes: int
    cycles: float
    least: float

    @property
    def seconds(self) -> float:
        """`cycles` in seconds, on the machine that the model was made on."""
        return self.cycles / MACHINE.clock


@dataclass(frozen=True)
class Measured:
    """How long layers take: the best of several rounds, as other programs only add to a time.

    A time is None where it was twice too short for this processor to do the work: the clock jumps, or does not run.

    Attributes
    ----------
    seconds : dict of int to float or None
        Of each layer.
    total : float or None
        Seconds of a whole run.
    peak : float
        Floating-point operations a second of the micro-kernel on operands in the caches.
    """

    seconds: dict[int, float | None]
    total: float | None
    peak: float


def plan_layers(layers: Sequence[Layer], precision: str = "float32") -> list[Forecast]:
    """How each layer would run."""
    layers, chosen, program = _arrange(layers, precision)
    running = {step.layer: step for step in program.steps if step.task == "layer"}
    passed = {
        index: sum(program.shape(value, layers).size for value in (*step.reads, step.target))
        for index, step in running.items()
    }
    copying = {step.layer for step in program.steps if step.task == "copy"}
    forecasts = []
    for layer in layers:
        choices, reason, values = chosen[layer.index], "", 0
        name = "copy" if layer.index in copying else ""
        if layer.index in running:
            without = "definition" if no_kernel(layer) else f"{layer.kind}:{ISA.name}"
            name = choices[0].implementation if choices else without
            reason = explain_definition(layer, choices[0] if choices else None)
            values = layer.parameter_count + passed[layer.index]
        cycles = choices[0].cycles if choices else 0.0
        least = _least_operations(layer, choices[0].algorithm if choices else None)
        forecasts.append(Forecast(layer, name, reason, choices[1:], SIZES[precision] * values, cycles, least))
    return forecasts


def plan_memory(layers: Sequence[Layer], precision: str = "float32") -> tuple[list[int], int]:
    """Bytes of each buffer that layers share, and of the workspace of convolutions, for one picture."""
    layers, chosen, program = _arrange(layers, precision)
    slots = [SIZES[precision] * size for size in program.slot_sizes(layers)]
    algorithms = [(layer, choice.algorithm) for layer in layers for choice in chosen[layer.index][:1]]
    spaces = [algorithm.workspace(layer, 1, thread_count(None)) for layer, algorithm in algorithms if algorithm]
    return slots, max(spaces, default=0)


def _arrange(layers: Sequence[Layer], precision: str) -> tuple[Sequence[Layer], list[list[Choice]], Program]:
    """Layers as they run, the algorithms for each, and their program.

    Batch normalization may require factors after a layer (`fold`), which then halves nothing. That depends on weights,
    which are not known here.
    """
    layers = average_first(layers)
    chosen = [choose(layer, precision) for layer in layers]
    halving = [layer.index for layer, choices in zip(layers, chosen, strict=True) if choices and choices[0].halves]
    return layers, chosen, compile_steps(layers, LANES, halving, CURVES)


def measure_layers(layers: Sequence[Layer], batch: int, threads: int | None, precision: str = "float32") -> Measured:
    """Run layers with made-up parameters, and the micro-kernel in between, so that both meet the machine alike."""
    engine = CpuEngine(layers, _made_up(layers), threads, precision)
    plan, product = engine.plan(layers), _Product(threads)
    images = np.random.default_rng(0).random((batch, *layers[0].input_shapes[0]), np.float32)
    least = {forecast.layer.index: batch * forecast.least for forecast in plan_layers(layers, precision)}
    plan.run(images)
    rate = 0.0

    def measure() -> tuple[dict[int, float], float]:
        """The best time of each layer, and of a whole run."""
        nonlocal rate
        runs, wholes = [], []
        for _ in range(ROUNDS):
            runs.append(plan.measure(images))
            start = time.perf_counter()
            plan.run(images)
            wholes.append(time.perf_counter() - start)
            rate = max(rate, product.measure())
        return {index: min(run[index] for run in runs) for index in runs[0]}, min(wholes)

    def can_be(operations: float, seconds: float) -> bool:
        return seconds > 0 and operations <= INEXACT * (rate or FASTEST * product.team.threads) * seconds

    seconds, total = measure()
    work = sum(least[index] for index in seconds)
    if not can_be(work, total) or not all(can_be(least[index], took) for index, took in seconds.items()):
        again, whole = measure()
        seconds = {i: took if can_be(least[i], took) else again[i] for i, took in seconds.items()}
        total = total if can_be(work, total) else whole
    told = {index: took if can_be(least[index], took) else None for index, took in seconds.items()}
    return Measured(told, total if can_be(work, total) else None, rate)


class _Product:
    """A product of matrices in the caches, computed over and over, each time too short to be interrupted."""

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
        """Floating-point operations a second, at best; 0 where that is more than any processor does."""
        seconds = [0.0] * self.times
        for number, took in self.table.measure(self.team):
            seconds[number] += took
        operations, best = 2 * self.depth * self.channels * self.pixels, min(seconds)
        return operations / best if best * FASTEST * self.team.threads > operations else 0.0


def limit_operations(layer: Layer) -> float:
    """A layer's operations, with the best Winograd tile for 3 x 3 windows of stride 1.

    A yardstick, not a bound: Strassen's algorithm, and Winograd's for other windows, need fewer.
    """
    if not isinstance(layer, Convolutional) or (layer.size, layer.stride, layer.groups) != (3, 1, 1):
        return layer.operations
    _, height, width = layer.shape
    best = min(count_points(height, m, 3) * count_points(width, m, 3) for m in (2, 4, 6))
    return layer.operations * min(1.0, best / (9 * height * width))


def _least_operations(layer: Layer, algorithm: AnyAlgorithm | None) -> float:
    """The operations that `algorithm` cannot do without; its transforms and sums are not counted."""
    operations = float(layer.operations)
    if isinstance(layer, Convolutional) and isinstance(algorithm, (Winograd, PlanarWinograd)):
        points = algorithm.points(layer) if isinstance(algorithm, Winograd) else algorithm.n
        operations *= (points / (algorithm.m * layer.size)) ** 2
    elif isinstance(algorithm, Strassen):
        operations *= 7 / 8
    return operations / 2 if algorithm is not None and algorithm.narrow and DOTS is not None else operations


def _made_up(layers: Sequence[Layer]) -> Iterator[dict[str, Array]]:
    rng = np.random.default_rng(0)
    for layer in layers:
        yield {
            name: (rng.random(shape, np.float32) + np.float32(0.5)) / np.float32(math.prod(shape[1:]))
            for name, shape in ((name, parameter.shape) for name, parameter in layer.parameters.items())
        }
