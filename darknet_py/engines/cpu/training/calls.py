"""The calls of a step, one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import operations as o
from ..arena import address
from ..builder import Table
from ..team import Team
from .buffers import NOWHERE, Buffers

if TYPE_CHECKING:
    import numpy.typing as npt

AnyArray: TypeAlias = "npt.NDArray[Any]"


@dataclass
class Function:
    """A call of NumPy between tables.

    Attributes
    ----------
    call : callable
        It takes `arrays`.
    layer : int
    arrays : tuple of array
        All arrays from `Buffers` that it works on, whole.
    """

    call: Callable[..., None]
    layer: int
    arrays: tuple[AnyArray, ...]


class Calls:
    """Tables of operations, and NumPy between them. Each operation counts as a call, and so does each function.

    Attributes
    ----------
    all : list of Table or Function
    layer : int
        Whose calls are being added.
    apart, kept_apart : int
        The most bytes of memory of its own that a function takes while it runs, and the bytes that all functions keep
        from the forward pass to the backward pass.
    """

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers
        self.all: list[Table | Function] = []
        self.layer = 0
        self.apart = self.kept_apart = 0

    @property
    def table(self) -> Table:
        """The table to which operations are added now."""
        if not self.all or not isinstance(self.all[-1], Table):
            self.all.append(Table())
        table = self.all[-1]
        assert isinstance(table, Table)
        table.layer = self.layer
        return table

    @property
    def count(self) -> int:
        """How many calls there are."""
        return sum(len(call.operations) if isinstance(call, Table) else 1 for call in self.all)

    def add(self, operation: o.Operation) -> None:
        """Append an operation."""
        self.table.add(operation)

    def then(self, call: Callable[..., None], *arrays: AnyArray, apart: int = 0) -> None:
        """Append a function of `arrays`, which are the only ones of `buffers` that it works on.

        Parameters
        ----------
        call : callable
        arrays : array
            As `buffers` gives them, whole; the function gets those in memory.
        apart : int
            Bytes that it takes in addition while it runs.
        """
        self.all.append(Function(call, self.layer, arrays))
        self.apart = max(self.apart, apart)

    def lay_out(self) -> None:
        """Find out from when to when each buffer is used, and a place for it; nothing may be added after this."""
        number = 0
        addresses: list[npt.NDArray[np.int64]] = []
        numbers: list[npt.NDArray[np.int64]] = []
        for call in self.all:
            if isinstance(call, Table):
                call.freeze()
                rows, columns = np.nonzero(call.table >= NOWHERE)
                addresses.append(call.table[rows, columns])
                numbers.append(number + rows)
                number += len(call.operations)
            else:
                addresses.append(np.array([address(array) for array in call.arrays], np.int64))
                numbers.append(np.full(len(call.arrays), number))
                number += 1
        self.buffers.lay_out(np.concatenate(addresses), np.concatenate(numbers))

    def allocate(self) -> None:
        """Get memory, and let all calls use it."""
        self.buffers.allocate()
        for call in self.all:
            if isinstance(call, Table):
                moved = call.table >= NOWHERE
                call.table[moved] = self.buffers.move(call.table[moved])
            else:
                call.arrays = tuple(map(self.buffers.find, call.arrays))

    @property
    def layers(self) -> list[int]:
        """The layer of each call."""
        found: list[int] = []
        for call in self.all:
            found += call.layers if isinstance(call, Table) else [call.layer]
        return found

    def run(self, team: Team) -> None:
        """Make all calls."""
        for call in self.all:
            if isinstance(call, Table):
                call.run(team)
            else:
                call.call(*call.arrays)

    def measure(self, team: Team) -> list[tuple[int, str, float]]:
        """Make all calls; return the layer, the name and the seconds of each operation."""
        seconds = []
        for call in self.all:
            if isinstance(call, Table):
                names = [type(operation).__name__ for operation in call.operations]
                seconds += [(layer, name, took) for name, (layer, took) in zip(names, call.measure(team), strict=True)]
            else:
                call.call(*call.arrays)
        return seconds
