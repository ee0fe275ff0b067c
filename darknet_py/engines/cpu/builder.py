"""Putting a table together: rows of operations, and all that their addresses point to."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from . import table as t
from .arena import LINE, address, aligned
from .isa import BLOCK
from .team import Team


class Table:
    """Operations for a `Team`.

    Parameters
    ----------
    cell : int
        Bytes of LANES channels of a pixel, for operations that are not told otherwise.
    """

    def __init__(self, cell: int = BLOCK) -> None:
        self.cell = cell
        self.rows: list[npt.NDArray[np.int64]] = []
        self.row_numbers: list[tuple[float, ...]] = []
        self.kept: list[npt.NDArray[Any]] = []
        self.layers: list[int] = []
        self.layer = 0  # whose operations are being added

    def add(
        self, opcode: int, *, slope: float = 1, final: float = 1, alpha: float = 1, beta: float = 1, **columns: int
    ) -> None:
        """Append an operation; `columns` are those of `table`, in lower case, 0 where they are not given.

        Cells are the table's where they are not given.
        """
        row = np.zeros(t.FIELDS, np.int64)
        row[t.OPCODE], row[t.CELL], row[t.OUT_CELL] = opcode, self.cell, self.cell
        for name, value in columns.items():
            row[getattr(t, name.upper())] = value
        self.rows.append(row)
        self.row_numbers.append((slope, final, alpha, beta))
        self.layers.append(self.layer)

    def keep(self, array: npt.NDArray[Any]) -> int:
        """Hold `array` for as long as the table lives; return its address."""
        self.kept.append(array)
        return address(array)

    def freeze(self) -> None:
        """No operations come after this."""
        self.table = np.array(self.rows, np.int64).reshape(-1, t.FIELDS)
        self.numbers = np.array(self.row_numbers, np.float32).reshape(-1, t.NUMBERS)
        self.sync = aligned((len(self.rows) + 1) * LINE)
        self.call = np.zeros(t.CALL_FIELDS, np.int64)
        self.call[t.ROWS] = len(self.rows)
        self.call[t.TABLE], self.call[t.NUMBERS_AT] = address(self.table), address(self.numbers)
        self.call[t.SYNC] = address(self.sync)
        self.call_address = address(self.call)

    def run(self, team: Team) -> None:
        """Run all operations, in order."""
        if self.rows:
            team.run(self.call_address)

    def measure(self, team: Team) -> list[tuple[int, float]]:
        """Run all operations; seconds that each took, with the index of its layer."""
        self.clock = np.zeros((team.threads, len(self.rows) + 1), np.int64)
        self.call[t.CLOCK] = address(self.clock)
        start = time.perf_counter()
        try:
            self.run(team)
        finally:
            self.call[t.CLOCK] = 0
        seconds = time.perf_counter() - start
        return list(zip(self.layers, (share_time(self.clock) * seconds).tolist(), strict=True))


def share_time(clock: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each operation's share of a run, from when each thread began and had done its part of each.

    An operation lasts from the last thread's end of the one before to the last thread's end of its own. One thread's
    clock alone would not do: while it waits for the others and sleeps, they go on and do the next operation.
    """
    ends = np.concatenate([clock[:1, 0], clock[:, 1:].max(axis=0)])
    return np.diff(ends) / max(1, ends[-1] - ends[0])
