"""The interfaces of every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ..layers import Array, Layer
from ..parameters import Parameters

Interpolate = Callable[..., Array]


class Plan(Protocol):
    """A network, ready to run at one size of picture."""

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs), float32, for `batch` (n, channels, height, width), float32 and contiguous."""


class Engine(Protocol):
    """A network's parameters, made ready once for all sizes of picture."""

    name: str

    @property
    def defined(self) -> Mapping[int, str]:
        """For layers that run by their definitions, in NumPy, why."""

    @property
    def interpolate(self) -> Interpolate | None:
        """A faster `images.fit.interpolate`, where there is one."""

    def plan(self, layers: Sequence[Layer]) -> Plan:
        """A plan for the network's layers, shaped for some size of picture."""

    def fork(self, threads: int) -> Engine:
        """An engine on the same parameters with `threads` threads of its own, to run at the same time as this one."""


class Update(Protocol):
    """One step in which some neighbouring parameters follow their gradients.

    Attributes
    ----------
    rule : str
        ``sgd`` or ``adam``: what an engine may have a kernel for.
    arrays : dict of str to array
        What it changes: flat, float32, of one length.
    numbers : dict of str to float
        The rule's settings, used as float32.
    """

    @property
    def rule(self) -> str: ...

    @property
    def arrays(self) -> Mapping[str, Array]: ...

    @property
    def numbers(self) -> Mapping[str, float]: ...

    def define(self) -> None:
        """Do it in plain NumPy."""


class TrainingPlan(Protocol):
    """A network, ready to train at one size of picture and of mini-batch.

    Attributes
    ----------
    parameters : Parameters
        What is trained, in place.
    gradients : Parameters
        The sum over all steps since they were last cleared, in the directions in which the loss falls.
    defined : mapping of int to str
        For layers that are trained by their definitions, in NumPy, why.
    memory : int
        Bytes that it ends up taking, except for `parameters`; hardly any of them before the first step.
    """

    parameters: Parameters
    gradients: Parameters

    @property
    def defined(self) -> Mapping[int, str]: ...

    @property
    def memory(self) -> int: ...

    def step(self, images: Array, truths: Array, random: np.random.Generator) -> float:
        """One pass over a mini-batch: adds to the gradients, moves the statistics, and returns the loss.

        Parameters
        ----------
        images : array
            (n, channels, height, width), float32.
        truths : array
            (n, outputs), float32.
        random : numpy.random.Generator
            From which layers draw, in their order.

        Returns
        -------
        float
            The loss, summed over the mini-batch; where several layers measure one, their mean.
        """

    def update(self, updates: Sequence[Update]) -> None:
        """Carry out each of `updates`, with the same bits as by its definition."""

    def read(self) -> Parameters:
        """`parameters`, brought back from where they are trained."""
