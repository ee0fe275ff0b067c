"""Convolutions by cuDNN: one fused graph for each, computed by one of the plans that cuDNN makes for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from ...passes import SLOPES
from ..convolution import Convolution, Operands
from ..cudnn import (
    BIASES,
    CURVES,
    MAX_WORKSPACE,
    RESIDUAL,
    SOURCE,
    TARGET,
    WEIGHTS,
    Cudnn,
    GraphLaunch,
    UnsupportedError,
)
from .base import Machine
from .weights import Rows

HOPPER = (9, 0)
# Plans for Hopper that cuDNN 9.19 does not propose, and that were faster on an H200: by up to 1.9 times where a product
# has fewer tiles than there are multiprocessors, by a tenth where it has more; by precision, for fewer and for more.
_HALF = (
    ("cudnn:eng7_k24=34", "cudnn:eng7_k24=36", "cudnn:eng1_k24=19"),
    ("cudnn:eng1_k24=1", "cudnn:eng1_k24=17", "cudnn:eng7_k24=23"),
)
UNPROPOSED = {
    "tf32": (
        ("cudnn:eng1_k24=41", "cudnn:eng7_k24=35", "cudnn:eng1_k24=11"),
        ("cudnn:eng1_k24=1", "cudnn:eng1_k24=0", "cudnn:eng1_k24=24", "cudnn:eng1_k24=22"),
    ),
    "float16": _HALF,
    "bfloat16": _HALF,
}
SLOW = "cudnn:eng4_"  # an engine that was proposed for 311 of 319 convolutions there, and never the fastest
TILE = 128 * 128


@dataclass(frozen=True)
class CudnnGraph:
    """What `Cudnn.graph` defines; only measuring shows which of its plans is the fastest."""

    name: str = "cudnn"

    def misses(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        return "needs cuDNN" if machine.cudnn is None else ""

    def declines(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        if missed := self.misses(problem, machine):
            return missed
        if not {problem.activation, problem.final_activation} <= SLOPES.keys() | CURVES.keys():
            return f"needs activations of {', '.join([*SLOPES, *CURVES])}"
        p = problem
        inside = p.size_y <= p.height + 2 * p.padding and p.size_x <= p.width + 2 * p.padding
        return "" if inside else "needs windows that lie within the padded picture"

    def order(self, problem: Convolution) -> Rows:
        """See `Algorithm`: a window's numbers, without padding."""
        return Rows(problem.precision, problem.groups, problem.numbers)

    def implementations(self, problem: Convolution, machine: Machine) -> list[PlannedGraph]:
        """See `Algorithm`."""
        assert machine.cudnn is not None
        names = machine.cudnn.names(problem)
        if names and machine.capability == HOPPER:
            numbers = problem.pixels * problem.groups.count * problem.groups.filters
            names = [name for name in names if not name.startswith(SLOW)] or names
            few, many = UNPROPOSED[problem.precision]
            names = [*names, *(few if numbers <= TILE * machine.multiprocessors else many)]
        return [PlannedGraph(self, machine.cudnn, name) for name in dict.fromkeys(names)]

    def find(self, name: str, problem: Convolution, machine: Machine) -> PlannedGraph | None:
        """See `Algorithm`."""
        if machine.cudnn is None or not name.startswith(f"{self.name}:"):
            return None
        try:
            machine.cudnn.plan(problem, name)
        except UnsupportedError:
            return None
        return PlannedGraph(self, machine.cudnn, name)


@dataclass(frozen=True)
class PlannedGraph:
    """An engine of cuDNN with its settings.

    Attributes
    ----------
    algorithm : CudnnGraph
    cudnn : Cudnn
    name : str
        cuDNN's own after ``cudnn:``.
    """

    algorithm: CudnnGraph
    cudnn: Cudnn
    name: str
    certain: ClassVar[bool] = False

    def cycles(self, problem: Convolution, machine: Machine) -> float:
        """See `Implementation`."""
        return inf

    def workspace(self, problem: Convolution) -> int:
        """See `Implementation`: what any plan may need where it is not compiled yet."""
        plan = self.cudnn.plans.get((problem, self.name))
        return MAX_WORKSPACE if plan is None else plan.workspace

    def lower(self, problem: Convolution, operands: Operands) -> list[GraphLaunch]:
        """See `Implementation`."""
        tensors = {
            SOURCE: operands.source,
            WEIGHTS: operands.weights,
            BIASES: operands.biases,
            TARGET: operands.target,
        }
        if operands.residual:
            tensors[RESIDUAL] = operands.residual
        return [GraphLaunch(self.cudnn, self.cudnn.plan(problem, self.name), tensors, operands.workspace)]
