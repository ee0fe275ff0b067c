"""Putting a table together: rows of operations, and all that their addresses point to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .arena import LINE, address, aligned
from .execute import Team
from .table import ALPHA, BETA, FIELDS, FINAL, NUMBERS, OPCODE, SLOPE


class Table:
    """Operations for a `Team`."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[np.int64]] = []
        self.row_numbers: list[tuple[float, ...]] = []
        self.kept: list[npt.NDArray[Any]] = []

    def add(
        self,
        opcode: int,
        fields: Mapping[int, int],
        slope: float = 1,
        final: float = 1,
        alpha: float = 1,
        beta: float = 1,
    ) -> None:
        """Append an operation; columns that `fields` does not name are 0."""
        row = np.zeros(FIELDS, np.int64)
        row[OPCODE] = opcode
        for column, value in fields.items():
            row[column] = value
        self.rows.append(row)
        numbers = [0.0] * NUMBERS
        numbers[SLOPE], numbers[FINAL], numbers[ALPHA], numbers[BETA] = slope, final, alpha, beta
        self.row_numbers.append(tuple(numbers))

    def keep(self, array: npt.NDArray[Any]) -> int:
        """Hold `array` for as long as the table lives; return its address."""
        self.kept.append(array)
        return address(array)

    def freeze(self) -> None:
        """No operations come after this."""
        self.table = np.array(self.rows, np.int64).reshape(-1, FIELDS)
        self.numbers = np.array(self.row_numbers, np.float32).reshape(-1, NUMBERS)
        self.sync = aligned((len(self.rows) + 1) * LINE)

    def run(self, team: Team) -> None:
        """Run all operations, in order."""
        team.run(self.table, self.numbers, self.sync)
