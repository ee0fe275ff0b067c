"""The CUDA engine: kernels packed once, and for each shape of a batch one CUDA graph."""

from __future__ import annotations

import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from copy import copy
from itertools import groupby
from math import inf
from typing import Any
from weakref import ref

import numpy as np
from tqdm import tqdm

from ...errors import CfgError, DarknetWarning, EngineError
from ...layers import Array, Layer, Parameters
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ..base import Interpolate
from ..passes import Folded, Step, compile_steps, fold, scale_after
from .convolution import Convolution
from .cudnn import GraphChoice, GraphLaunch, UnsupportedError
from .device import Device, Memory, Queue
from .implementation import Implementation
from .kernels import Launch
from .launches import HostCall, Layout, Lowering, Packed, describe, no_kernel
from .packing import PACK, pack_weights, pad_channels, padded
from .select import candidates, most_shared
from .tune import Tuner

MAX_EXECUTIONS = 8  # shapes of batches whose memory and graphs are kept
MEASURED = 8  # tiles, those that the model thinks best
REPEATED, TIMES = 10, 3  # launches in a row, and how often, where one is measured
MOST_PICTURES = 65535  # blocks of a grid's second axis
MOST_NUMBERS = 1 << 31  # of a value, that kernels can count


class CudaEngine:
    """A network's program, its kernels on the GPU once for all shapes of batches.

    Parameters
    ----------
    layers : sequence of Layer
    parameters : iterable of mapping
    device : Device
    precision : str
    tuner : Tuner, optional
        By which implementations are chosen; by a model alone where absent.
    interpolate : callable, optional
        A faster `image.interpolate` for forks, which fit many pictures; loading it would hold up a single one.

    Raises
    ------
    EngineError
        Where the GPU cannot compute in `precision`, a layer has no kernel, or memory does not suffice.
    """

    name = "cuda"
    interpolate: Interpolate | None = None

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: Iterable[Parameters],
        device: Device,
        precision: str,
        tuner: Tuner | None = None,
        interpolate: Interpolate | None = None,
    ) -> None:
        least = (8, 0) if precision == "tf32" else (7, 0)
        if device.capability < least:
            has, wants = (".".join(map(str, capability)) for capability in (device.capability, least))
            reason = f"{device.name} has compute capability {has}; {wants} is expected; take "
            reason += "the CPU: -nogpu" if device.capability < (7, 0) else "float32 or float16"
            raise EngineError(reason, option=f"precision={precision}")
        self.device, self.precision, self.tuner = device, precision, tuner
        self._fork_interpolate = interpolate
        self.own_size = layers[0].input_shapes[0]
        self.program = compile_steps(layers, PACK)
        self.packed: dict[int, Packed] = {}
        self.factors: dict[tuple[int, str], tuple[int, int]] = {}
        self.weights: list[Memory] = []
        self.parameters: dict[int, dict[str, Array]] = {}  # of layers that have no kernel
        self._family: list[ref[CudaEngine]] = []  # this engine and its forks
        reasons = {index: no_kernel(layers[index]) for index in self.program.running}
        self.defined = {index: reason for index, reason in reasons.items() if reason}
        layout = Layout(self.program, layers, precision, 1)
        source = iter(parameters)
        try:
            self._join_family()
            for layer in layers:  # zip would hold a layer's arrays while the next one's are read
                self._prepare(layer, next(source), layout)
        except MemoryError:
            raise EngineError(f"its memory does not hold the network's weights; {_FREE}", option=device.name) from None
        self.program = scale_after(self.program, [layer for layer, task in self.factors if task == "scale"])

    def _join_family(self, blocking: bool = False) -> None:
        """Begin with a queue, and nothing else, of its own."""
        self.queue: Queue = self.device.open_queue(blocking)
        self.executions: OrderedDict[tuple[int, int, int], Execution] = OrderedDict()
        self._served: set[tuple[int, int, int]] = set()
        self.lock = threading.Lock()  # executions share a queue
        self._family.append(ref(self))

    def _prepare(self, layer: Layer, arrays: Parameters, layout: Layout) -> None:
        """Pack a layer's parameters and bring them to the GPU, or keep them for its definition."""
        if no_kernel(layer):
            self.parameters[layer.index] = {name: np.array(array) for name, array in arrays.items()}
        elif isinstance(layer, (Convolutional, Connected)):
            (step,) = (step for step in self.program.steps if step.layer == layer.index and step.task == "layer")
            weights, groups = arrays["weights"], getattr(layer, "groups", 1)
            if weights.ndim == 2:
                weights = weights.reshape(len(weights), *layer.input_shapes[0])
            merged = describe(step, layout).groups
            folded = fold(arrays)
            rows = pack_weights(weights, folded.factor, groups, merged, self.precision)
            if self.precision == "float16" and not np.isfinite(rows).all() and np.isfinite(weights).all():
                reason = f"layer {layer.index} has weights beyond 65504; take bfloat16 or tf32"
                raise EngineError(reason, option="precision=float16")
            address = filters = self._keep(rows)
            numbers = merged.channels * math.prod(weights.shape[2:])
            if self.tuner is not None and self.tuner.cudnn is not None and numbers < rows.shape[1]:
                filters = self._keep(rows[:, :numbers])
            self.packed[layer.index] = Packed(address, filters, self._keep(pad_channels(folded.bias)))
            self._keep_after(layer, folded)
        elif isinstance(layer, BatchNorm):
            folded = fold(arrays)
            self.factors[layer.index, "layer"] = self._keep_pair(folded.factor, folded.bias)
            self._keep_after(layer, folded)

    def _keep_after(self, layer: Layer, folded: Folded) -> None:
        if folded.after is not None:
            self.factors[layer.index, "scale"] = self._keep_pair(*folded.after)

    def _keep_pair(self, factor: Array, bias: Array) -> tuple[int, int]:
        return self._keep(pad_channels(factor)), self._keep(pad_channels(bias))

    def _keep(self, array: Array) -> int:
        self.weights.append(self.device.upload(array))
        return self.weights[-1].address

    def plan(self, layers: Sequence[Layer]) -> CudaPlan:
        """A plan for `layers`, shaped for some size of picture."""
        return CudaPlan(self, layers)

    def fork(self, threads: int) -> CudaEngine:
        """An engine on the same kernels with a queue of its own, whose plans run beside this one's."""
        engine = copy(self)
        engine._join_family(blocking=True)
        engine.interpolate = self._fork_interpolate
        return engine

    def consider(self, convolution: Convolution, tuner: Tuner | None) -> list[Implementation]:
        """What computes `convolution`: the fastest where it is known, else all among which to choose by measuring."""
        tiles = tilings(convolution, self.device)
        if tuner is None:
            return tiles[:1]
        name = tuner.known(convolution)
        known = [tile for tile in tiles if tile.name == name]
        if tuner.cudnn is None:
            return known or tiles[:MEASURED]
        if name is not None and not known:
            known = [*filter(None, [tuner.cudnn.named(convolution, name)])]
        return known or [*tiles[:MEASURED], *tuner.cudnn.candidates(convolution)]

    def execution(self, layers: Sequence[Layer], pictures: int) -> Execution:
        """What runs `pictures` through `layers`, made where it is not there yet.

        One for less than twice as many serves as well; one for more where their number comes for the first time, as
        that of a dataset's last ones.
        """
        _, height, width = layers[0].input_shapes[0]
        key = height, width, pictures
        larger = [other for other in self.executions if other[:2] == key[:2] and other[2] > pictures]
        if larger and key not in self.executions and (min(larger)[2] < 2 * pictures or key not in self._served):
            self._served.add(key)
            key = min(larger)
        if key not in self.executions:
            while len(self.executions) >= MAX_EXECUTIONS:
                self.executions.popitem(last=False)
            self.executions[key] = self._make(layers, pictures)
        self.executions.move_to_end(key)
        return self.executions[key]

    def _make(self, layers: Sequence[Layer], pictures: int) -> Execution:
        """An execution, for which others are given up where memory does not suffice."""
        while True:
            try:
                return Execution(self, layers, pictures)
            except MemoryError:
                pass  # with the error goes what it had allocated
            if not self._give_up_one():
                raise self._out_of_memory(layers, pictures)

    def _give_up_one(self) -> bool:
        """Whether there was an execution that nobody needs now, of this engine or of those on the same kernels."""
        if self.executions:
            self.executions.popitem(last=False)
            return True
        self._family[:] = [reference for reference in self._family if reference() is not None]
        for engine in [reference() for reference in self._family]:
            if engine is not None and engine is not self and engine.lock.acquire(blocking=False):
                try:
                    if engine.executions:
                        engine.executions.popitem(last=False)
                        return True
                finally:
                    engine.lock.release()
        return False

    def _out_of_memory(self, layers: Sequence[Layer], pictures: int) -> CfgError | EngineError:
        """That `pictures` are too many, and how many would do."""
        free = self.device.free_memory()
        one = Layout(self.program, layers, self.precision, 1).size + 4 * layers[0].input_shapes[0].size
        needed = f"{pictures * one / 2**30:.1f} GiB on {self.device.name}, of which {free / 2**30:.1f} are free"
        if pictures == 1:
            size = "{2} x {1}".format(*layers[0].input_shapes[0])
            return CfgError(f"a picture of {size} takes {needed}; take the CPU: -nogpu")
        fitting = max(1, min(pictures // 2, int(0.9 * free) // one))
        return EngineError(f"takes {needed}; try --batch {1 << (fitting.bit_length() - 1)}", option=f"batch={pictures}")


def tilings(convolution: Convolution, device: Device) -> list[Implementation]:
    """Our own kernels for `convolution`, the probably fastest first."""
    return [*candidates(convolution, device.capability, device.multiprocessors, device.shared_limit)]


class CudaPlan:
    """A network at one size of picture.

    Attributes
    ----------
    together : int
        How many pictures may run at the same time; larger batches run in parts.
    """

    def __init__(self, engine: CudaEngine, layers: Sequence[Layer]) -> None:
        self.engine, self.layers = engine, layers
        shapes = [layers[0].input_shapes[0], *(layer.shape for layer in layers)]
        most = max(padded(channels) * height * width for channels, height, width in shapes)
        self.together = max(1, min(MOST_PICTURES, (MOST_NUMBERS - 1) // most))

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for `batch` (n, channels, height, width)."""
        parts = [batch[first : first + self.together] for first in range(0, len(batch), self.together)]
        with self.engine.lock:
            outputs = [self.engine.execution(self.layers, len(part)).run(part) for part in parts]
        if not outputs:
            return np.empty((0, self.engine.program.shape(self.engine.program.output, self.layers).size), np.float32)
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


class Execution:
    """Memory and a graph for batches of one shape.

    Attributes
    ----------
    launches : list of Launch, GraphLaunch or HostCall
    choices : dict of Convolution to Implementation
    """

    def __init__(self, engine: CudaEngine, layers: Sequence[Layer], pictures: int) -> None:
        program = engine.program
        self.layers, self.parameters = layers, engine.parameters
        self.device, self.queue = engine.device, engine.queue
        self.weights = engine.weights  # the recording reads it
        self.layout = Layout(program, layers, engine.precision, pictures)
        self.outputs = program.shape(program.output, layers).size
        products = [step for step in program.steps if step.layer in engine.packed and step.task == "layer"]
        steps = {describe(step, self.layout): step for step in products}
        # Pictures of other sizes come one by one: measuring would take longer than it saves.
        tuner = engine.tuner if layers[0].input_shapes[0] == engine.own_size else None
        with tuner.lock if tuner else nullcontext():
            considered = {convolution: engine.consider(convolution, tuner) for convolution in steps}
            self.choices = {convolution: choices[0] for convolution, choices in considered.items()}
            self.images = self.device.allocate(4 * pictures * layers[0].input_shapes[0].size)
            self.answers = self.device.allocate(4 * pictures * self.outputs)
            self.arena = self.device.allocate(self.layout.size)
            self.arrived = self.device.allocate(4 * most_shared(self.device.multiprocessors))
            self.lowering = Lowering(
                self.layout,
                self.arena.address,
                engine.packed,
                engine.factors,
                self.choices,
                self._allocate_host_calls(),
                self.arrived.address,
            )
            self._allocate_workspace(considered)
            unknown = {steps[convolution]: choices for convolution, choices in considered.items() if len(choices) > 1}
            if tuner and unknown:
                self._tune(tuner, unknown)
                self._allocate_workspace({convolution: [choice] for convolution, choice in self.choices.items()})
            self._record()

    def _allocate_host_calls(self) -> dict[Step, HostCall]:
        """Memory for what is computed on the host."""

        def allocate(value: int) -> Memory:
            return self.device.allocate(4 * self.layout.pictures * program.shape(value, self.layers).size)

        program, calls = self.layout.program, {}
        for step in program.steps:
            if step.task == "layer" and no_kernel(self.layers[step.layer]):
                channels, height, width = program.shape(step.target, self.layers)
                packed = self.layout.pictures * height * width * padded(channels) * self.layout.item
                inputs = {value: allocate(value) for value in step.reads}
                calls[step] = HostCall(step, inputs, allocate(step.target), self.device.allocate(packed))
        return calls

    def _allocate_workspace(self, considered: Mapping[Convolution, Sequence[Implementation]]) -> None:
        """As much as any of the choices needs."""
        sizes = [choice.workspace(convolution) for convolution, choices in considered.items() for choice in choices]
        self.workspace: Memory | None = None  # the old one goes first
        self.workspace = self.device.allocate(max([1, *sizes]))
        self.lowering.workspace = self.workspace.address

    def _record(self) -> None:
        """Make the graph; with our own kernels in place of cuDNN's plans where one of these fails after all."""
        try:
            self.launches = self.lowering.launches(self.images.address, self.answers.address)
            parts = groupby(self.launches, lambda work: isinstance(work, HostCall))
            self.recordings = [part for on_host, works in parts for part in self._record_part(on_host, works)]
        except UnsupportedError as reason:
            warnings.warn(DarknetWarning(f"{reason}; kernels without cuDNN are used"), stacklevel=2)
            for convolution, choice in self.choices.items():
                if isinstance(choice, GraphChoice):
                    fitting = (tile for tile in tilings(convolution, self.device) if tile.workspace(convolution) == 0)
                    self.choices[convolution] = next(fitting)
            self._record()

    def _record_part(self, on_host: bool, works: Iterable[Any]) -> Iterable[Any]:
        """Graphs of launches that follow each other, or calls of the host."""
        return works if on_host else [self.queue.record(works)]

    def _replay(self) -> None:
        for recording in self.recordings:
            if isinstance(recording, HostCall):
                self._call_host(recording)
            else:
                self.queue.replay(recording)

    def _call_host(self, call: HostCall) -> None:
        shape = self.layout.program.shape

        def read(value: int) -> Array:
            array = np.empty((self.layout.pictures, *shape(value, self.layers)), np.float32)
            self.queue.read(call.inputs[value], array)
            return array

        self.queue.write(call.output, call.step.define(self.layers, self.parameters, read))

    def _tune(self, tuner: Tuner, unknown: Mapping[Step, Sequence[Implementation]]) -> None:
        """Choose by measuring, on what random pictures leave in memory: zeros would heat the GPU less."""
        self._record()
        self.queue.write(self.images, np.random.default_rng(0).random(self.images.size // 4, np.float32))
        self._replay()
        told = tqdm(unknown.items(), "measuring convolutions, once", unit="", leave=False, delay=1, disable=None)
        try:
            for step, choices in told:
                convolution = describe(step, self.layout)
                seconds = {choice: self._measure(launch) for choice, launch in self._compile(step, choices).items()}
                self.choices[convolution] = best = min(seconds, key=seconds.__getitem__)
                tuner.remember(convolution, best.name)
                if tuner.cudnn is not None:
                    tuner.cudnn.settle(convolution, [choice.name for choice in choices if choice is not best])
        finally:  # what is known when the user stops it stays known
            tuner.save()

    def _compile(self, step: Step, choices: Sequence[Implementation]) -> dict[Implementation, Launch | GraphLaunch]:
        """The launches of those `choices` that can be had."""
        launches = {}
        for choice in choices:
            with suppress(UnsupportedError):
                launches[choice] = self.lowering.convolution(step, choice)
        return launches

    def _measure(self, launch: Launch | GraphLaunch) -> float:
        """Seconds that `launch` takes, in a row of several so that the begin does not count."""
        try:
            recording = self.queue.record([launch] * REPEATED)
        except UnsupportedError:
            return inf
        return self.queue.measure(recording, TIMES) / REPEATED

    def run(self, batch: Array) -> Array:
        """Outputs for a batch of the execution's shape."""
        outputs = np.empty((len(batch), self.outputs), np.float32)
        self.queue.write(self.images, batch)
        self._replay()
        self.queue.read(self.answers, outputs)
        return outputs


_FREE = "stop what else runs there, or take the CPU: -nogpu"
