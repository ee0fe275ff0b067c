"""What training would do with a network, and how much memory it takes: for ``darknet plan --train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....layers import Layer
from ....layers.training import check_trainable
from ....parameters import Parameters
from ..team import thread_count
from .buffers import Kind
from .plan import CpuTraining


@dataclass(frozen=True)
class TrainingForecast:
    """How a layer would be trained.

    Attributes
    ----------
    layer : Layer
    forward, backward_data, backward_weights : str
        ``algorithm:isa``, or ``definition``; empty where there is nothing to do.
    reason : str
        Why it is trained by its definition; empty where it is not.
    kept : int
        Bytes of its output, in any layout, that the backward pass needs.
    """

    layer: Layer
    forward: str
    backward_data: str
    backward_weights: str
    reason: str
    kept: int


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes at the point where a step takes most of them.

    Attributes
    ----------
    parameters, gradients : int
    outputs, deltas, workspace : int
        That are needed then.
    rest : int
        Gaps between these, statistics and biases, and what NumPy takes.
    """

    parameters: int
    gradients: int
    outputs: int
    deltas: int
    workspace: int
    rest: int

    @property
    def peak(self) -> int:
        """All of them together."""
        return self.parameters + self.gradients + self.outputs + self.deltas + self.workspace + self.rest


def plan_training(
    layers: Sequence[Layer], batch: int, threads: int | None = None
) -> tuple[list[TrainingForecast], TrainingMemory]:
    """How each layer would be trained on mini-batches of `batch` images, and in how much memory.

    Raises
    ------
    CfgError
        Where the network cannot be trained, or not as its cfg says.
    """
    check_trainable(layers, batch)
    plan = CpuTraining(layers, Parameters.zeros(layers), batch, thread_count(threads))
    forecasts = []
    for trainer, kept in zip(plan.trainers, _count_kept(plan), strict=True):
        forward, data, weights = (trainer.implementations.get(part, "") for part in ("forward", "data", "weights"))
        reason = plan.defined.get(trainer.layer.index, "")
        forecasts.append(TrainingForecast(trainer.layer, forward, data, weights, reason, kept))
    return forecasts, _measure(plan)


def _count_kept(plan: CpuTraining) -> list[int]:
    """The bytes of each layer's output that are in use when the backward pass begins."""
    kept, layers = [0] * len(plan.layers), plan.calls.layers
    for buffer in plan.buffers.all:
        if buffer.kind == "output" and 0 <= buffer.first < plan.turn <= buffer.last:
            kept[layers[buffer.first]] += buffer.size
    return kept


def _measure(plan: CpuTraining) -> TrainingMemory:
    """The memory in use when most is."""
    kinds: tuple[Kind, ...] = ("output", "delta", "workspace")
    used = np.zeros((len(kinds), plan.calls.count + 1), np.int64)
    for buffer in plan.buffers.all:
        if buffer.first >= 0:
            used[kinds.index(buffer.kind), buffer.first] += buffer.size
            used[kinds.index(buffer.kind), buffer.last + 1] -= buffer.size
    used = used.cumsum(axis=1)
    outputs, deltas, workspace = used[:, used.sum(axis=0).argmax()].tolist()
    parameters, gradients = plan.parameters.values.nbytes, plan.gradients.values.nbytes
    rest = plan.memory - gradients - outputs - deltas - workspace
    return TrainingMemory(parameters, gradients, outputs, deltas, workspace, rest)
