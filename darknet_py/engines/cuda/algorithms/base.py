"""The interface of algorithms: each declines a problem or lists its implementations, and says its weights' order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from ..convolution import Convolution, Operands
from ..cudnn import Cudnn, GraphLaunch
from ..kernels import Launch
from .weights import Order


@dataclass(frozen=True)
class Machine:
    """What algorithms need to know about a GPU.

    Attributes
    ----------
    capability : tuple of int
        Its compute capability.
    multiprocessors : int
    shared_limit : int
        Bytes of shared memory that a thread block may have.
    cudnn : Cudnn, optional
        Where it may be used.
    """

    capability: tuple[int, int]
    multiprocessors: int
    shared_limit: int
    cudnn: Cudnn | None = None


class Implementation(Protocol):
    """An algorithm in one of the ways in which it can be carried out.

    Attributes
    ----------
    algorithm : Algorithm
    name : str
        By which it is found again: the algorithm's name, and what distinguishes it from the algorithm's others.
    certain : bool
        Whether it computes all problems that its algorithm does not decline.
    """

    @property
    def algorithm(self) -> Algorithm: ...
    @property
    def name(self) -> str: ...
    @property
    def certain(self) -> bool: ...

    def cycles(self, problem: Convolution, machine: Machine) -> float:
        """The predicted cycles; infinite where there is no model."""

    def workspace(self, problem: Convolution) -> int:
        """Bytes that its launches need besides source and target."""

    def lower(self, problem: Convolution, operands: Operands) -> Sequence[Launch | GraphLaunch]:
        """Its launches.

        Raises
        ------
        UnsupportedError
            Where it is not `certain` and cannot compute this after all.
        """


class Algorithm(Protocol):
    """A way to compute a convolution or a connected layer.

    Attributes
    ----------
    name : str
        ``implicit_gemm:tensor_64x64``, ``cudnn``, ...
    """

    @property
    def name(self) -> str: ...

    def misses(self, problem: Convolution, machine: Machine) -> str:
        """Why it does not compute such a layer on `machine`, whatever its pictures; empty where it may."""

    def declines(self, problem: Convolution, machine: Machine) -> str:
        """Why it cannot compute `problem`; empty where it can."""

    def order(self, problem: Convolution) -> Order:
        """The order in which it reads weights."""

    def implementations(self, problem: Convolution, machine: Machine) -> Sequence[Implementation]:
        """All for a problem that it does not decline; those without a model by presumed speed, the fastest first."""

    def find(self, name: str, problem: Convolution, machine: Machine) -> Implementation | None:
        """The implementation of this `name`; None where there is none, or it has become impossible."""


@dataclass(frozen=True)
class Choice:
    """An implementation for a problem, or an algorithm that declines it.

    Attributes
    ----------
    algorithm : Algorithm
    implementation : Implementation, optional
        None where it declines.
    cycles : float
        Predicted; infinite where there is no model.
    reason : str
        Why it declines; empty where it does not.
    """

    algorithm: Algorithm
    implementation: Implementation | None = None
    cycles: float = inf
    reason: str = ""

    @property
    def name(self) -> str:
        """The implementation's, or the algorithm's where it declines."""
        return self.algorithm.name if self.implementation is None else self.implementation.name
