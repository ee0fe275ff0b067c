"""The CPU engine: weights packed once, and a plan for each size of picture, which divides batches."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy

import numpy as np

from ...errors import EngineError
from ...forks import renew_after_fork
from ...layers import Array, Arrays, Layer
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...parameters import share
from ..exchange import average_first
from ..folding import fold
from ..passes import compile_steps, scale_after
from .algorithms import choose
from .arena import Store, huge
from .builder import Table
from .distance import Distance
from .interpolate import interpolate
from .isa import BLOCK, HALF, LANES, MACHINE
from .lowering import explain_definition
from .operations import CURVES
from .prepared import Prepared
from .run import Run
from .team import Team, team_of, thread_count

TOGETHER = 1, 2, 4, 8  # images that may run through a network at the same time


class CpuEngine(Prepared):
    """A network's program, with its weights packed once for all sizes of picture."""

    name = "cpu"
    interpolate = staticmethod(interpolate)

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: Iterable[Arrays],
        threads: int | None,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        layers = average_first(layers)
        self.precision = precision
        self.cell = HALF if precision == "bfloat16" else BLOCK  # bytes of LANES channels of a pixel
        self.team = team_of(thread_count(threads))
        self.distance = Distance(self.team)
        self.store = Store()
        self.renew()
        renew_after_fork(self)
        source = share(layers, parameters)
        for layer in layers:  # zip would hold a layer's arrays while the next one's are read
            self._prepare(layer, next(source))
        scaled = {layer for layer, task in self.factors if task == "scale"}
        halving = {index for index, choice in self.choices.items() if choice.halves} - scaled
        self.program = scale_after(compile_steps(layers, LANES, halving, CURVES), scaled)
        running = (layers[index] for index in self.program.running)
        reasons = {layer.index: explain_definition(layer, self.choices.get(layer.index)) for layer in running}
        self.defined = {index: reason for index, reason in reasons.items() if reason}

    def renew(self) -> None:
        """Renew the lock with which plans, which share memory, take turns."""
        self._lock, self._at_work = threading.RLock(), False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The calling thread's turn to work in the plans' memory.

        Raises
        ------
        EngineError
            Where the thread has it already: it would wait for itself.
        """
        with self._lock:
            if self._at_work:
                reason = "is at work in this thread, which a signal's handler or a finalizer has interrupted"
                raise EngineError(f"the network {reason}; predict there in another", option="engine=cpu")
            try:
                self._at_work = True
                yield
            finally:
                self._at_work = False

    def _prepare(self, layer: Layer, arrays: Arrays) -> None:
        """Pack a layer's weights, or keep its parameters for its definition."""
        choice = next(iter(choose(layer, self.precision)), None)
        algorithm = None if choice is None else choice.algorithm
        if choice is not None:
            self.choices[layer.index] = choice
        if isinstance(layer, BatchNorm):
            self.factors[layer.index, "layer"] = self._fold(layer, arrays)
        elif algorithm is None:
            self.parameters[layer.index] = {name: np.array(array) for name, array in arrays.items()}
        else:
            # Weights are packed in float32 first.
            table, store = Table(), Store() if algorithm.narrow else self.store
            weights = next(arrays[name] for name, given in layer.taken.items() if given.role == "weight")
            packed = algorithm.pack(table, store, layer, weights, *self._fold(layer, arrays))
            table.freeze()
            table.run(self.team)
            self.weights[layer.index] = packed.narrow(self.store) if algorithm.narrow else packed

    def _fold(self, layer: Layer, arrays: Arrays) -> tuple[Array, Array]:
        """A layer's factors and biases; those to apply after them, if any, are kept in `factors`."""
        folded = fold(layer, arrays)
        if folded.after is not None:
            self.factors[layer.index, "scale"] = folded.after
        return folded.factor, folded.bias

    def plan(self, layers: Sequence[Layer]) -> CpuPlan:
        """A plan for `layers`, shaped for some size of picture."""
        return CpuPlan(self, average_first(layers))

    def fork(self, threads: int) -> CpuEngine:
        """An engine on the same weights with `threads` threads of its own, whose plans run in parallel with these."""
        engine = copy(self)
        engine.team = Team(threads)
        engine.distance = Distance(engine.team)
        engine.arena = huge(0)
        engine.renew()
        renew_after_fork(engine)
        return engine


class CpuPlan:
    """A network at one size of picture.

    Attributes
    ----------
    together : int
        How many images run through the network at the same time; larger batches run in parts.
    """

    def __init__(self, engine: CpuEngine, layers: Sequence[Layer]) -> None:
        self.engine = engine
        self.layers = layers
        self.together = min(TOGETHER, key=self._bytes_an_image)
        # Where a cache holds two images, both at a time took 0.90 to 1.00 of the time on two cores, in batches of 8:
        # barriers and weights count once for both.
        if self.together == 1 and not self._bytes_an_image(2):
            self.together = 2
        self.runs: dict[int, Run] = {}
        self.far = False  # the cores that `runs` are for

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for `batch` (n, channels, height, width)."""
        outputs = np.empty(
            (len(batch), self.engine.program.shape(self.engine.program.output, self.layers).size), np.float32
        )
        first = 0
        for part in self._parts(batch):
            with self.engine.turn():
                outputs[first : first + len(part)] = self._run(len(part)).run(part)
            first += len(part)
        return outputs

    def measure(self, batch: Array) -> dict[int, float]:
        """Seconds that each layer takes for `batch`, in one run."""
        seconds: dict[int, float] = defaultdict(float)
        for part in self._parts(batch):
            with self.engine.turn():
                for layer, took in self._run(len(part)).measure(part).items():
                    seconds[layer] += took
        return seconds

    def _parts(self, batch: Array) -> list[Array]:
        return [batch[first : first + self.together] for first in range(0, len(batch), self.together)]

    def _bytes_an_image(self, images: int) -> float:
        """Bytes from memory that count: connected layers' weights, and what no cache keeps from layer to layer.

        Weights of convolutions do not count: they are fetched while others are in use.
        """
        total, program = 0.0, self.engine.program
        for step in program.steps:
            values = (program.shape(value, self.layers) for value in (*step.reads, step.target))
            passed = self.engine.cell // LANES * sum(shape.size for shape in values)
            if images * passed > MACHINE.cached_bytes:
                total += passed
            if type(self.layers[step.layer]) is Connected and step.task == "layer":
                total += self.engine.weights[step.layer].data.nbytes / images
        return total

    def _run(self, images: int) -> Run:
        far = self.engine.distance.is_far()
        if far != self.far:
            self.runs.clear()  # before new ones take memory
            self.far = far
        if images not in self.runs:
            self.runs[images] = Run(self.engine, self.layers, images, far)
        return self.runs[images]
