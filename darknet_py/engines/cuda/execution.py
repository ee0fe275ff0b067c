"""Batches of one shape on a GPU: their memory, and a graph of all launches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any

import numpy as np

from ...errors import DarknetWarning
from ...layers import Array, Layer
from ..passes import Step
from .algorithms import Implementation, candidates, most_shared
from .convolution import Convolution
from .cudnn import UnsupportedError
from .device import Memory
from .layout import describe
from .lowering import HostCall, Lowering, lay_out, no_kernel
from .packing import round_up
from .prepared import Prepared


class Execution:
    """Memory and a graph for batches of one shape.

    Attributes
    ----------
    launches : list of Launch, GraphLaunch or HostCall
    choices : dict of Convolution to Implementation
    """

    def __init__(self, prepared: Prepared, layers: Sequence[Layer], pictures: int) -> None:
        program = prepared.program
        self.layers, self.parameters, self.machine = layers, prepared.parameters, prepared.machine
        self.device, self.queue = prepared.device, prepared.queue
        self.uploaded = prepared.uploaded  # the recording reads it
        self.layout = lay_out(program, layers, prepared.precision, pictures)
        self.outputs = program.shape(program.output, layers).size
        products = [step for step in program.steps if step.layer in prepared.packed and step.task == "layer"]
        steps = {describe(step, self.layout): step for step in products}
        tuner = prepared.tuner if layers[0].input_shapes[0] == prepared.own_size else None
        with tuner.lock if tuner else nullcontext():
            considered = {problem: prepared.consider(problem, tuner) for problem in steps}
            self.choices = {problem: choices[0] for problem, choices in considered.items()}
            self.images = self.device.allocate(4 * pictures * layers[0].input_shapes[0].size)
            self.answers = self.device.allocate(4 * pictures * self.outputs)
            self.arena = self.device.allocate(self.layout.size)
            self.arrived = self.device.allocate(4 * most_shared(self.device.multiprocessors))
            self.lowering = Lowering(
                self.layout,
                self.arena.address,
                prepared.packed,
                prepared.factors,
                self.choices,
                self._allocate_host_calls(),
                self.arrived.address,
            )
            self._allocate_workspace(considered)
            unknown = {problem: choices for problem, choices in considered.items() if len(choices) > 1}
            if tuner and unknown:
                self._run_at_random()
                self.choices |= tuner.choose(
                    self.queue, unknown, lambda problem, choice: self.lowering.convolution(steps[problem], choice)
                )
                self._allocate_workspace({problem: [choice] for problem, choice in self.choices.items()})
            self._record()

    def run(self, batch: Array) -> Array:
        """Outputs for a batch of the execution's shape."""
        outputs = np.empty((len(batch), self.outputs), np.float32)
        self.queue.write(self.images, batch)
        self.replay()
        self.queue.read(self.answers, outputs)
        return outputs

    def replay(self) -> None:
        """Do all work once more, on what is in the images' memory."""
        for recording in self.recordings:
            if isinstance(recording, HostCall):
                self._call_host(recording)
            else:
                self.queue.replay(recording)

    def _allocate_host_calls(self) -> dict[Step, HostCall]:
        """Memory for what is computed on the host."""

        def allocate(value: int) -> Memory:
            return self.device.allocate(4 * self.layout.pictures * program.shape(value, self.layers).size)

        program, calls = self.layout.program, {}
        for step in program.steps:
            if step.task == "layer" and no_kernel(self.layers[step.layer]):
                channels, height, width = program.shape(step.target, self.layers)
                packed = self.layout.pictures * height * width * round_up(channels) * self.layout.item
                inputs = {value: allocate(value) for value in step.reads}
                calls[step] = HostCall(step, inputs, allocate(step.target), self.device.allocate(packed))
        return calls

    def _allocate_workspace(self, considered: Mapping[Convolution, Sequence[Implementation]]) -> None:
        """Allocate as much as any of the choices needs."""
        sizes = [choice.workspace(problem) for problem, choices in considered.items() for choice in choices]
        self.workspace: Memory | None = None  # the old one is freed first
        self.workspace = self.device.allocate(max([1, *sizes]))
        self.lowering.workspace = self.workspace.address

    def _run_at_random(self) -> None:
        """Run random pictures, whose values stay in memory: zeros would heat the GPU less."""
        self._record()
        self.queue.write(self.images, np.random.default_rng(0).random(self.images.size // 4, np.float32))
        self.replay()

    def _record(self) -> None:
        """Make the graph, with other implementations in place of those that fail after all."""
        try:
            self.launches = self.lowering.launches(self.images.address, self.answers.address)
            parts = groupby(self.launches, lambda work: isinstance(work, HostCall))
            self.recordings = [part for on_host, works in parts for part in self._record_part(on_host, works)]
        except UnsupportedError as reason:
            warnings.warn(DarknetWarning(f"{reason}; kernels without cuDNN are used"), stacklevel=2)
            for problem, choice in self.choices.items():
                if not choice.certain:
                    others = (other for other in candidates(problem, self.machine) if other.certain)
                    self.choices[problem] = next(other for other in others if other.workspace(problem) == 0)
            self._record()

    def _record_part(self, on_host: bool, works: Iterable[Any]) -> Iterable[Any]:
        """Graphs of launches that follow each other, or calls on the host."""
        return works if on_host else [self.queue.record(works)]

    def _call_host(self, call: HostCall) -> None:
        shape = self.layout.program.shape

        def read(value: int) -> Array:
            array = np.empty((self.layout.pictures, *shape(value, self.layers)), np.float32)
            self.queue.read(call.inputs[value], array)
            return array

        self.queue.write(call.output, call.step.define(self.layers, self.parameters, read))
