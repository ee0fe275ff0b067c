"""Putting a table together: rows of operations, and all that their addresses point to; and what runs between tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import operations as o
from . import table as t
from .arena import address
from .team import Team

if TYPE_CHECKING:
    import numpy.typing as npt


class Table:
    """Operations for a `Team`."""

    def __init__(self) -> None:
        self.operations: list[o.Operation] = []
        self.kept: list[npt.NDArray[np.generic]] = []
        self.layers: list[int] = []
        self.layer = 0  # whose operations are being added

    def add(self, operation: o.Operation) -> None:
        """Append an operation."""
        self.operations.append(operation)
        self.layers.append(self.layer)

    def keep(self, array: npt.NDArray[np.generic]) -> int:
        """Hold `array` for as long as the table lives; return its address."""
        self.kept.append(array)
        return address(array)

    def freeze(self) -> None:
        """Make the arrays; no operations may be added after this."""
        count = len(self.operations)
        self.table = np.zeros((count, len(o.INTEGERS)), np.int64)
        self.numbers = np.zeros((count, len(o.NUMBERS)), np.float32)
        for row, numbers, operation in zip(self.table, self.numbers, self.operations, strict=True):
            values = {"opcode": operation.opcode, **vars(operation)}
            row[:] = [values.get(name, 0) for name in o.INTEGERS]
            numbers[:] = [values.get(name, 0) for name in o.NUMBERS]
        self.call = np.zeros(t.CALL_FIELDS, np.int64)
        self.call[t.ROWS] = count
        self.call[t.TABLE], self.call[t.NUMBERS_AT] = address(self.table), address(self.numbers)
        self.call_address = address(self.call)

    def run(self, team: Team) -> None:
        """Run all operations, in order."""
        if self.operations:
            team.run(self.call_address)

    def measure(self, team: Team) -> list[tuple[int, float]]:
        """Run all operations; return the index of each one's layer and the seconds that it took."""
        self.clock = np.zeros((team.threads, len(self.operations) + 1), np.int64)
        self.call[t.CLOCK] = address(self.clock)
        start = time.perf_counter()
        try:
            self.run(team)
        finally:
            self.call[t.CLOCK] = 0
        seconds = time.perf_counter() - start
        return list(zip(self.layers, (share_time(self.clock) * seconds).tolist(), strict=True))


@dataclass(frozen=True)
class Function:
    """A function of NumPy between tables, run and measured as they are.

    Attributes
    ----------
    call : callable
    layer : int
        The index of the layer that it works for.
    """

    call: Callable[[], None]
    layer: int

    def run(self, team: Team) -> None:
        """Call it, in the calling thread."""
        self.call()

    def measure(self, team: Team) -> list[tuple[int, float]]:
        """Call it; return its layer and the seconds that it took."""
        start = time.perf_counter()
        self.call()
        return [(self.layer, time.perf_counter() - start)]


def share_time(clock: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each operation's share of a run, from the times at which each thread began the run and finished each operation.

    An operation lasts from when the last thread has finished the one before to when the last thread has finished it.
    One thread's clock alone would not do: while it waits for the others and sleeps, they go on to the next operation.
    """
    ends = np.concatenate([clock[:1, 0], clock[:, 1:].max(axis=0)])
    return np.diff(ends) / max(1, ends[-1] - ends[0])
