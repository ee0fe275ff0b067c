"""What the CPU engine would do with a network, and how long it takes: for `darknet plan` and `darknet speed`."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...layers import Array, Layer, Shape
from ...layers.convolutional import Convolutional
from ..passes import compile_steps
from .arena import Store
from .builder import Table
from .convolution import workspace_size
from .isa import COLUMNS, ISA, LANES, ROWS
from .kernels import pack_matrix
from .plan import CpuEngine
from .products import Call, lower_connected
from .select import CLOCK, Choice, choose
from .team import team_of, thread_count

SIZES = {"float32": 4, "bfloat16": 2}  # bytes of an activation or parameter, but a few


@dataclass(frozen=True)
class LayerPlan:
    """How a layer runs.

    Attributes
    ----------
    layer : Layer
    implementation : str
        ``algorithm:isa``; empty where nothing is computed, or it is done by the layer before.
    declined : list of Choice
        The other implementations, each with its predicted cycles or its reason.
    bytes : int
        Of kernels, input and output.
    cycles : float
        Predicted for one picture on one core; 0 where there is no model.
    """

    layer: Layer
    implementation: str
    declined: list[Choice]
    bytes: int
    cycles: float

    @property
    def seconds(self) -> float:
        """`cycles` on the machine that the model was made on."""
        return self.cycles / CLOCK


def plan_layers(layers: Sequence[Layer], precision: str = "float32") -> list[LayerPlan]:
    """The plan of each layer."""
    program = compile_steps(layers, LANES)
    running = {step.layer for step in program.steps if step.kind != "copy"}
    plans = []
    for layer in layers:
        choices = choose(layer, precision) if isinstance(layer, Convolutional) else []
        if layer.index not in running:
            name = ""
        elif choices:
            name = choices[0].implementation
        else:
            name = (
                f"{layer.kind}:{ISA.name}"
                if layer.kind in ("connected", "maxpool", "avgpool", "shortcut")
                else layer.kind
            )
        values = layer.shape.size + sum(shape.size for shape in layer.input_shapes)
        values += sum(math.prod(shape) for shape in layer.parameters.values())
        cycles = choices[0].cycles if choices else 0.0
        plans.append(LayerPlan(layer, name, choices[1:], SIZES[precision] * values, cycles))
    return plans


def plan_memory(layers: Sequence[Layer], precision: str = "float32") -> tuple[list[int], int]:
    """Bytes of each buffer that layers share, and of the workspace of convolutions, for one picture."""
    slots = [SIZES[precision] * size for size in compile_steps(layers, LANES).slot_sizes(layers)]
    spaces = [
        workspace_size(choose(layer, precision)[0], layer, 1, layer.input_shapes[0], layer.shape, thread_count(None))
        for layer in layers
        if isinstance(layer, Convolutional)
    ]
    return slots, max(spaces, default=0)


def measure_layers(
    layers: Sequence[Layer], batch: int, threads: int | None, precision: str = "float32", rounds: int = 15
) -> tuple[dict[int, float], float]:
    """Median seconds of each layer, and of a whole run, with made-up parameters."""
    engine = CpuEngine(layers, _made_up(layers), threads, precision)
    plan = engine.plan(layers)
    images = np.random.default_rng(0).random((batch, *layers[0].input_shapes[0]), np.float32)
    plan.run(images)
    runs, totals = [], []
    for _ in range(rounds):
        runs.append(plan.measure(images))
        start = time.perf_counter()
        plan.run(images)
        totals.append(time.perf_counter() - start)
    seconds = {index: statistics.median(run[index] for run in runs) for index in runs[0]}
    return seconds, statistics.median(totals)


def peak_rate(threads: int | None) -> float:
    """Floating-point operations a second of the micro-kernel on operands that lie in the caches."""
    depth, channels, pixels = 512, 4 * COLUMNS * LANES, 64 * ROWS
    team, table = team_of(thread_count(threads)), Table()
    values = np.ones((channels, depth, 1), np.float32)
    kernels = pack_matrix(table, Store(), values, np.ones(channels, np.float32), np.zeros(channels, np.float32))
    table.freeze()
    table.run(team)
    source = np.ones(depth * pixels, np.float32)
    target = np.empty(channels * pixels, np.float32)
    call = Call(pixels, source.ctypes.data, target.ctypes.data, 0, 0, Shape(depth, 1, 1), Shape(channels, 1, 1), 1, 1)
    run = Table()
    lower_connected(run, kernels, call)
    run.freeze()
    best = math.inf
    for _ in range(30):
        start = time.perf_counter()
        run.run(team)
        best = min(best, time.perf_counter() - start)
    return 2 * depth * channels * pixels / best


def limit_operations(layer: Layer) -> float:
    """Operations with the best Winograd tile for a 3 x 3 kernel of stride 1, all of them else.

    A yardstick, not a bound: Strassen's algorithm, and Winograd's for other kernels, need fewer.
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
            for name, shape in layer.parameters.items()
        }
