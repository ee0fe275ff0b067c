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
        self.clock = np.zeros(len(self.rows) + 1, np.int64)
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
        self.call[t.CLOCK] = address(self.clock)
        start = time.perf_counter()
        self.run(team)
        seconds = time.perf_counter() - start
        self.call[t.CLOCK] = 0
        shares = np.diff(self.clock) / max(1, self.clock[-1] - self.clock[0])
        return list(zip(self.layers, (shares * seconds).tolist(), strict=True))
