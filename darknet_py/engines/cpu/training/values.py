"""What training keeps of a mini-batch: values and deltas, in blocked layout, in plain one, or in both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....layers import Array, Shape
from .. import operations as o
from ..algorithms.weights import blocks
from ..arena import Store, address
from ..builder import Table
from ..isa import BLOCK, LANES
from ..team import Team


class Calls:
    """What is done one after another: tables of operations, and NumPy between them."""

    def __init__(self) -> None:
        self._calls: list[Table | Callable[[], None]] = []
        self.layer = 0  # whose operations are being added

    @property
    def table(self) -> Table:
        """The table to which operations are to be added now."""
        if not self._calls or not isinstance(self._calls[-1], Table):
            self._calls.append(Table())
        table = self._calls[-1]
        assert isinstance(table, Table)
        table.layer = self.layer
        return table

    def add(self, operation: o.Operation) -> None:
        """Append an operation."""
        self.table.add(operation)

    def then(self, call: Callable[[], None]) -> None:
        """Append a function."""
        self._calls.append(call)

    def freeze(self) -> None:
        """Nothing comes after this."""
        for call in self._calls:
            if isinstance(call, Table):
                call.freeze()

    def run(self, team: Team) -> None:
        """Do all of it."""
        for call in self._calls:
            if isinstance(call, Table):
                call.run(team)
            else:
                call()

    def measure(self, team: Team) -> list[tuple[int, str, float]]:
        """Do all of it; layer, operation and seconds of each operation."""
        seconds = []
        for call in self._calls:
            if isinstance(call, Table):
                names = [type(operation).__name__ for operation in call.operations]
                seconds += [(layer, name, took) for name, (layer, took) in zip(names, call.measure(team), strict=True)]
            else:
                call()
        return seconds


class Value:
    """An array of a mini-batch's, (images, *shape).

    Attributes
    ----------
    filled : bool
        Of a delta: whether something has been added to it, so that what comes next is not the first.
    """

    def __init__(self, store: Store, shape: Shape, images: int) -> None:
        self.store, self.shape, self.images = store, shape, images
        self.filled = False
        self._blocked: Array | None = None
        self._plain: Array | None = None

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return blocks(self.shape.channels)

    @property
    def cells(self) -> int:
        """Of a picture's block."""
        return self.shape.height * self.shape.width

    @property
    def plane(self) -> int:
        """Bytes from a block of channels to the next."""
        return self.images * self.cells * BLOCK

    def make_blocked(self) -> int:
        """Let it be in blocked layout; its address."""
        if self._blocked is None:
            self._blocked = self.store.take(self.blocks * self.plane).view(np.float32)
        return address(self._blocked)

    def make_plain(self) -> Array:
        """Let it be in plain layout; the array."""
        if self._plain is None:
            size = self.images * self.shape.size * 4
            self._plain = self.store.take(size).view(np.float32).reshape(self.images, *self.shape)
        return self._plain

    def blocked(self, calls: Calls) -> int:
        """The address in blocked layout, into which `calls` bring it where it is in plain layout alone."""
        if self._blocked is None:
            plain = self.make_plain()
            calls.add(o.ToBlocks(a=address(plain), c=self.make_blocked(), out_cell=BLOCK, **self.description))
        return self.make_blocked()

    def plain(self, calls: Calls) -> Array:
        """The array in plain layout, into which `calls` bring it where it is in blocked layout alone."""
        if self._plain is None:
            start = self.make_blocked()
            calls.add(o.ToPlain(a=start, c=address(self.make_plain()), **self.description))
        return self.make_plain()

    @property
    def is_plain(self) -> bool:
        """Whether it is in plain layout, perhaps too."""
        return self._plain is not None

    @property
    def description(self) -> dict[str, int]:
        """What an operation that changes the layout is told of it."""
        return dict(
            blocks=self.blocks,
            channels=self.shape.channels,
            images=self.images,
            height=self.shape.height,
            width=self.shape.width,
        )

    def channels(self, store: Store) -> Array:
        """Room for a number of each channel, in whole registers, zeros."""
        return store.take(self.blocks * LANES * 4).view(np.float32)


class Workspace:
    """Memory that operations need only until the next layer's."""

    def __init__(self, store: Store) -> None:
        self._store, self._memory = store, store.take(0)

    def reserve(self, size: int) -> int:
        """The address of `size` bytes."""
        if size > self._memory.size:
            self._memory = self._store.take(size)
        return address(self._memory)
