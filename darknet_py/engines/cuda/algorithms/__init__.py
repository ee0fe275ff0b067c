"""Which algorithm computes a layer: lists by precision, of which those that can are ordered by a model.

Those without a model come after them; where measuring decides, they are measured, too (`Tuner`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from ..convolution import Convolution
from .base import Algorithm, Choice, Implementation, Machine
from .cudnn_graph import CudnnGraph
from .depthwise import Depthwise
from .implicit_gemm import SCALAR, TENSOR, most_shared
from .weights import Order, PackedWeights, Rows, Taps

__all__ = [
    "FORWARD", "Algorithm", "Choice", "Implementation", "Machine", "Order", "PackedWeights", "Rows", "Taps",
    "candidates", "choose", "find", "most_shared", "orders",
]  # fmt: skip

# cuDNN would compute float32 in tf32.
FORWARD: dict[str, Sequence[Algorithm]] = {
    "float32": (Depthwise(), *SCALAR),
    "tf32": (Depthwise(), *TENSOR, CudnnGraph()),
    "float16": (Depthwise(), *TENSOR, *SCALAR, CudnnGraph()),
    "bfloat16": (Depthwise(), *TENSOR, *SCALAR, CudnnGraph()),
}


def choose(problem: Convolution, machine: Machine) -> list[Choice]:
    """All implementations for `problem`, by predicted speed, then those without a model, then those who decline."""
    choices = [choice for algorithm in FORWARD[problem.precision] for choice in _consider(algorithm, problem, machine)]
    # Those of equal cycles by name; those without a model stay as their algorithm has ordered them.
    return sorted(choices, key=lambda choice: (bool(choice.reason), choice.cycles, choice.name * (choice.cycles < inf)))


def candidates(problem: Convolution, machine: Machine) -> list[Implementation]:
    """The implementations of `choose`."""
    return [choice.implementation for choice in choose(problem, machine) if choice.implementation is not None]


def find(name: str, problem: Convolution, machine: Machine) -> Implementation | None:
    """The implementation of this `name`; None where it is not available."""
    able = [algorithm for algorithm in FORWARD[problem.precision] if not algorithm.declines(problem, machine)]
    return next(filter(None, (algorithm.find(name, problem, machine) for algorithm in able)), None)


def orders(problem: Convolution, machine: Machine) -> list[Order]:
    """All orders of weights that algorithms on `machine` may read, whatever the pictures' size and the activations."""
    able = (a for a in FORWARD[problem.precision] if not a.misses(problem, machine))
    return [*dict.fromkeys(algorithm.order(problem) for algorithm in able)]


def _consider(algorithm: Algorithm, problem: Convolution, machine: Machine) -> Iterator[Choice]:
    if reason := algorithm.declines(problem, machine):
        yield Choice(algorithm, reason=reason)
        return
    for implementation in algorithm.implementations(problem, machine):
        yield Choice(algorithm, implementation, implementation.cycles(problem, machine))
