"""The CUDA engine: parameters, once on the GPU, and plans for sizes of picture, which divide batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from copy import copy
from functools import partial
from weakref import ref

import numpy as np

from ...errors import CfgError, EngineError
from ...layers import Array, Arrays, Layer
from ...parameters import share
from ..base import Interpolate
from ..exchange import average_first
from ..folding import Folded, fold
from ..passes import Step, compile_steps, scale_after
from .algorithms import PackedWeights, orders
from .algorithms.implicit_gemm import TENSOR_CORES
from .convolution import WINDOWS
from .device import Device
from .execution import Execution
from .layout import Layout, describe
from .lowering import lay_out, no_kernel, takes_rest
from .memory import Executions
from .packing import PACK, fill_pack, round_up
from .prepared import Prepared
from .tune import Tuner

MOST_PICTURES = 65535  # thread blocks of a grid's second axis
MOST_NUMBERS = 1 << 31  # in a value: more than kernels can count
_FREE = "stop what else runs there, or take the CPU: -nogpu"


class CudaEngine(Prepared):
    """A network's program, with its parameters on the GPU once for all shapes of batches.

    Parameters
    ----------
    layers : sequence of Layer
    parameters : iterable of mapping
    device : Device
    precision : str
    tuner : Tuner, optional
        Chooses implementations; a model alone does where it is absent.
    interpolate : callable, optional
        A faster `images.fit.interpolate` for forks, which fit many pictures; loading it would hold up a single one.

    Raises
    ------
    EngineError
        Where the GPU cannot compute in `precision`, or memory does not suffice.
    """

    name = "cuda"
    interpolate: Interpolate | None = None

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: Iterable[Arrays],
        device: Device,
        precision: str,
        tuner: Tuner | None = None,
        interpolate: Interpolate | None = None,
    ) -> None:
        if precision == "tf32" and device.capability < TENSOR_CORES:
            has, wants = (".".join(map(str, capability)) for capability in (device.capability, TENSOR_CORES))
            reason = f"{device.name} has compute capability {has}; {wants} is expected; take float32 or float16"
            raise EngineError(reason, option=f"precision={precision}")
        layers = average_first(layers)
        super().__init__(device, precision, tuner, layers[0].input_shapes[0])
        self._fork_interpolate = interpolate
        self._process = os.getpid()
        self.program = compile_steps(layers, PACK)
        self._family: list[ref[Executions]] = []  # of this engine and its forks
        reasons = {index: no_kernel(layers[index]) for index in self.program.running}
        self.defined = {index: reason for index, reason in reasons.items() if reason}
        layout = lay_out(self.program, layers, precision, 1)
        source = share(layers, parameters)
        try:
            self._join_family()
            for layer in layers:  # zip would hold a layer's arrays while the next one's are read
                self._prepare(layer, next(source), layout)
        except MemoryError:
            raise EngineError(f"its memory does not hold the network's weights; {_FREE}", option=device.name) from None
        self.program = scale_after(self.program, [layer for layer, task in self.factors if task == "scale"])

    def _join_family(self, blocking: bool = False) -> None:
        """Begin with a queue of its own, and no executions."""
        self.queue = self.device.open_queue(blocking)
        self.executions = Executions(self._family)

    def _prepare(self, layer: Layer, arrays: Arrays, layout: Layout) -> None:
        """Pack a layer's parameters and bring them to the GPU, or keep them for its definition."""
        if no_kernel(layer):
            self.parameters[layer.index] = {name: np.array(array) for name, array in arrays.items()}
        elif type(layer) in WINDOWS:
            (step,) = (step for step in self.program.steps if step.layer == layer.index and step.task == "layer")
            self._pack(layer, arrays, step, layout)
        elif layer.parameters:
            folded = fold(layer, arrays)
            self.factors[layer.index, "layer"] = self._upload_pair(folded.factor, folded.bias)
            self._upload_after(layer, folded)

    def _pack(self, layer: Layer, arrays: Arrays, step: Step, layout: Layout) -> None:
        """Bring weights to the GPU in each order in which they may be read."""
        groups, window = WINDOWS[type(layer)](layer)
        weights = next(arrays[name] for name, given in layer.taken.items() if given.role == "weight")
        weights = weights.reshape(len(weights), -1, window.size_y, window.size_x)
        if layout.rest and takes_rest(step, layout.layers):
            weights = np.concatenate([weights, weights], 1)
        folded = fold(layer, arrays)
        addresses = {}
        for order in orders(describe(step, layout), self.tuned):
            packed = order.pack(weights, folded.factor, groups)
            if self.precision == "float16" and not np.isfinite(packed).all() and np.isfinite(weights).all():
                reason = f"layer {layer.index} has weights beyond 65504; take bfloat16 or tf32"
                raise EngineError(reason, option="precision=float16")
            addresses[order] = self._upload(packed)
        self.packed[layer.index] = PackedWeights(addresses, self._upload(fill_pack(folded.bias)))
        self._upload_after(layer, folded)

    def _upload_after(self, layer: Layer, folded: Folded) -> None:
        if folded.after is not None:
            self.factors[layer.index, "scale"] = self._upload_pair(*folded.after)

    def _upload_pair(self, factor: Array, bias: Array) -> tuple[int, int]:
        return self._upload(fill_pack(factor)), self._upload(fill_pack(bias))

    def _upload(self, array: Array) -> int:
        self.uploaded.append(self.device.upload(array))
        return self.uploaded[-1].address

    def plan(self, layers: Sequence[Layer]) -> CudaPlan:
        """A plan for `layers`, shaped for some size of picture."""
        return CudaPlan(self, average_first(layers))

    def fork(self, threads: int) -> CudaEngine:
        """An engine on the same parameters with a queue of its own, to run at the same time as this one."""
        engine = copy(self)
        engine._join_family(blocking=True)
        engine.interpolate = self._fork_interpolate
        return engine

    def check_process(self) -> None:
        """Raise EngineError unless this process opened the GPU: locks and CUDA are of no use to a forked child."""
        if os.getpid() != self._process:
            reason = "a forked process cannot use its parent's GPU; start it by multiprocessing's spawn, and load the "
            raise EngineError(f"{reason}network there, or take the CPU: -nogpu", option=self.device.name)

    def _execution(self, layers: Sequence[Layer], pictures: int) -> Execution:
        """The execution that runs `pictures`, or more of them, through a plan's layers."""
        _, height, width = layers[0].input_shapes[0]
        make = partial(Execution, self, layers, pictures)
        execution = self.executions.serve((height, width, pictures), make)
        if execution is None:
            raise self._out_of_memory(layers, pictures)
        return execution

    def _out_of_memory(self, layers: Sequence[Layer], pictures: int) -> CfgError | EngineError:
        """The error that says that `pictures` are too many, and how many would fit."""
        free = self.device.free_memory()
        one = lay_out(self.program, layers, self.precision, 1).size + 4 * layers[0].input_shapes[0].size
        needed = f"{pictures * one / 2**30:.1f} GiB on {self.device.name}, of which {free / 2**30:.1f} are free"
        if pictures == 1:
            size = "{2} x {1}".format(*layers[0].input_shapes[0])
            return CfgError(f"a picture of {size} takes {needed}; take the CPU: -nogpu")
        fitting = max(1, min(pictures // 2, int(0.9 * free) // one))
        return EngineError(f"takes {needed}; try --batch {1 << (fitting.bit_length() - 1)}", option=f"batch={pictures}")


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
        most = max(round_up(channels) * height * width for channels, height, width in shapes)
        self.together = min(MOST_PICTURES, (MOST_NUMBERS - 1) // most)
        if not self.together:
            size = "{2} x {1}".format(*shapes[0])
            raise CfgError(f"a picture of {size} has more numbers in a layer than the GPU counts; take the CPU: -nogpu")

    def execution(self, pictures: int) -> Execution:
        """The execution that runs so many pictures, or more."""
        return self.engine._execution(self.layers, pictures)

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for `batch` (n, channels, height, width)."""
        self.engine.check_process()
        parts = [batch[first : first + self.together] for first in range(0, len(batch), self.together)]
        with self.engine.executions.lock:
            outputs = [self.execution(len(part)).run(part) for part in parts]
        if not outputs:
            return np.empty((0, self.engine.program.shape(self.engine.program.output, self.layers).size), np.float32)
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
