"""What an engine has prepared for a network, shared by plans of all sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...layers import Array, Layer
from ..passes import Program
from .algorithms import Choice, PackedWeights
from .arena import huge
from .team import Team

if TYPE_CHECKING:
    import numpy.typing as npt


class Prepared:
    """A network's steps, and its parameters in the form in which kernels read them.

    Attributes
    ----------
    program : Program
    cell : int
        Bytes of LANES channels of a pixel, except in values that stay in float32.
    choices : dict of int to Choice
        For layers of kinds that have algorithms, by index.
    weights : dict of int to PackedWeights
        For those of them that run by an algorithm.
    factors : dict of (int, str) to (array, array)
        Factors and biases, by the layer and the task of its step.
    parameters : dict of int to dict
        For layers that run by their definitions.
    team : Team
    """

    program: Program
    cell: int
    team: Team

    def __init__(self) -> None:
        self.choices: dict[int, Choice] = {}
        self.weights: dict[int, PackedWeights] = {}
        self.factors: dict[tuple[int, str], tuple[Array, Array]] = {}
        self.parameters: dict[int, dict[str, Array]] = {}
        self.arena = huge(0)

    def is_defined(self, layer: Layer) -> bool:
        """Whether `layer` is of a kind that has algorithms, but all of them decline it."""
        return layer.index in self.choices and layer.index not in self.weights

    def memory(self, size: int) -> npt.NDArray[np.uint8]:
        """At least `size` bytes, shared by plans, which never run at the same time."""
        if self.arena.size < size:
            self.arena = huge(size)
        return self.arena
