"""Steps -> calls of kernels on buffers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numba
import numpy as np

from ...layers import Array, Layer, Parameters
from ...layers.activations import activate
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ...layers.maxpool import MaxPool
from ..passes import INPUT, SLOPES, Program, Step, compile_steps, fold
from .connected import connect
from .convolution import convolve, pack_kernels, scratch_size
from .jit import load_kernels
from .pooling import maxpool


class CpuEngine:
    """A network's program, with its weights folded and packed once for all sizes of picture."""

    name = "cpu"

    def __init__(self, layers: Sequence[Layer], parameters: Sequence[Parameters], threads: int | None) -> None:
        load_kernels()
        cores: int = numba.config.NUMBA_NUM_THREADS
        self.threads = min(threads or len(os.sched_getaffinity(0)), cores)
        self.program = compile_steps(layers)
        self.weights: dict[int, tuple[Array, Array]] = {}
        self.parameters: dict[int, dict[str, Array]] = {}
        depth = 0
        for step in self.program.steps:
            layer = layers[step.layer]
            if not layer.parameters:
                continue
            if isinstance(layer, (Convolutional, Connected)):
                weight, bias = fold(layer, parameters[step.layer])
                if isinstance(layer, Convolutional):
                    weight = pack_kernels(weight, layer.groups)
                    depth = max(depth, weight.shape[2])
                self.weights[step.layer] = np.array(weight, np.float32, order="C"), np.array(bias)
            else:
                arrays = parameters[step.layer]
                self.parameters[step.layer] = {name: np.array(array) for name, array in arrays.items()}
        self.scratch = np.empty((self.threads, scratch_size(depth)), np.float32)

    def plan(self, layers: Sequence[Layer]) -> CpuPlan:
        """A plan for `layers`, shaped for some size of picture."""
        return CpuPlan(self, layers)


class CpuPlan:
    """Calls of kernels on buffers, for one size of picture."""

    def __init__(self, engine: CpuEngine, layers: Sequence[Layer]) -> None:
        self.engine = engine
        self.layers = layers
        program: Program = engine.program
        self.slots = [np.empty(size, np.float32) for size in program.slot_sizes(layers)]
        self.input = np.empty((1, *layers[0].input_shapes[0]), np.float32)
        self.views = {INPUT: self.input}
        for value, place in program.places.items():
            shape, plane = program.shape(value, layers), program.shape(place.root, layers)
            start = place.channel * plane.height * plane.width
            self.views[value] = self.slots[place.slot][start : start + shape.size].reshape(1, *shape)
        self.calls: list[Callable[[], Any]] = []
        for step in program.steps:
            self._add(step)
        self.output = self.views[program.output]

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for `batch` (n, channels, height, width)."""
        numba.set_num_threads(self.engine.threads)
        outputs = np.empty((len(batch), self.output.size), np.float32)
        for image, output in zip(batch, outputs, strict=True):
            self.input[0] = image
            for call in self.calls:
                call()
            output[:] = self.output.ravel()
        return outputs

    def _add(self, step: Step) -> None:
        layer = self.layers[step.layer]
        src, dst = self.views[step.source], self.views[step.target]
        if step.kind == "copy":
            self.calls.append(partial(np.copyto, dst, src))
            return
        slope = SLOPES.get(step.activation)
        if isinstance(layer, Convolutional):
            self._add_convolution(step, layer, 1.0 if slope is None else slope)
        elif isinstance(layer, Connected):
            matrix, bias = self.engine.weights[step.layer]
            first = 1.0 if slope is None else slope
            self.calls.append(partial(connect, src.ravel(), matrix, bias, dst.ravel(), np.float32(first)))
        elif isinstance(layer, MaxPool):
            self.calls.append(partial(maxpool, src[0], dst[0], layer.size, layer.stride, layer.padding // 2))
        else:
            self.calls.append(partial(self._run_definition, step))
            return
        if slope is None:
            self.calls.append(lambda: np.copyto(dst, activate(step.activation, dst)))

    def _add_convolution(self, step: Step, layer: Convolutional, slope: float) -> None:
        panels, bias = self.engine.weights[step.layer]
        src, dst = (_planes(self.views[value]) for value in (step.source, step.target))
        residual = dst if step.residual is None else _planes(self.views[step.residual])
        self.calls.append(
            partial(
                convolve, src, panels, bias, residual, dst, self.engine.scratch,
                *layer.input_shapes[0][1:], layer.shape.width, layer.size, layer.stride, layer.padding,
                int(step.residual is not None), np.float32(slope), np.float32(SLOPES[step.final_activation]),
            )
        )  # fmt: skip

    def _run_definition(self, step: Step) -> None:
        """What has no kernel of its own runs as its layer defines it."""
        inputs = [self.views[value] for value in step.reads]
        output = self.layers[step.layer].forward(inputs, self.engine.parameters.get(step.layer, {}))
        np.copyto(self.views[step.target], output)


def _planes(view: Array) -> Array:
    return cast(Array, view.reshape(view.shape[1], -1))
