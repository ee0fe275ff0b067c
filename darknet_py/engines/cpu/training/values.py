"""What training keeps of a mini-batch: values and deltas, in blocked layout, in plain layout, or in both."""

from __future__ import annotations

import numpy as np

from ....layers import Array, Shape
from .. import operations as o
from ..algorithms.weights import blocks
from ..arena import Store, address
from ..isa import BLOCK, LANES
from .buffers import Buffers, Kind
from .calls import Calls


class Value:
    """An array of a mini-batch, (images, *shape).

    Attributes
    ----------
    filled : bool
        For a delta: whether something has been stored in it, so that what comes next must be added.
    """

    def __init__(self, buffers: Buffers, kind: Kind, shape: Shape, images: int) -> None:
        self.buffers, self.kind, self.shape, self.images = buffers, kind, shape, images
        self.filled = False
        self._blocked: Array | None = None
        self._plain: Array | None = None
        self._flat: Value | None = None

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return blocks(self.shape.channels)

    @property
    def cells(self) -> int:
        """The cells of a picture's block."""
        return self.shape.height * self.shape.width

    @property
    def plane(self) -> int:
        """Bytes from a block of channels to the next."""
        return self.images * self.cells * BLOCK

    def make_blocked(self) -> int:
        """Give it memory in blocked layout, if it has none; return the address."""
        if self._blocked is None:
            self._blocked = self.buffers.take(self.blocks * self.plane, self.kind).view(np.float32)
        return address(self._blocked)

    def make_plain(self) -> Array:
        """Give it memory in plain layout, if it has none; return the array."""
        if self._plain is None:
            size = self.images * self.shape.size * 4
            self._plain = self.buffers.take(size, self.kind).view(np.float32).reshape(self.images, *self.shape)
        return self._plain

    def blocked(self, calls: Calls) -> int:
        """The address in blocked layout, into which `calls` bring it where it is only in plain layout."""
        if self._blocked is None:
            plain = self.make_plain()
            calls.add(o.ToBlocks(a=address(plain), c=self.make_blocked(), out_cell=BLOCK, **self.description))
        return self.make_blocked()

    def plain(self, calls: Calls) -> Array:
        """The array in plain layout, into which `calls` bring it where it is only in blocked layout."""
        if self._plain is None:
            start = self.make_blocked()
            calls.add(o.ToPlain(a=start, c=address(self.make_plain()), **self.description))
        return self.make_plain()

    def flat(self, calls: Calls) -> Value:
        """The same numbers, in the order of plain layout, as pictures of one cell; itself where it has one cell."""
        if self.cells == 1:
            return self
        if self._flat is None:
            self._flat = Value(self.buffers, self.kind, Shape(self.shape.size, 1, 1), self.images)
            self._flat._plain = self.plain(calls).reshape(self.images, self.shape.size, 1, 1)
        return self._flat

    @property
    def is_plain(self) -> bool:
        """Whether it is in plain layout, possibly among others."""
        return self._plain is not None

    @property
    def description(self) -> dict[str, int]:
        """The fields that describe it to an operation that changes the layout."""
        return dict(
            blocks=self.blocks,
            channels=self.shape.channels,
            images=self.images,
            height=self.shape.height,
            width=self.shape.width,
        )

    def channels(self, store: Store) -> Array:
        """Room for a number for each channel, in whole registers of zeros."""
        return store.take(self.blocks * LANES * 4).view(np.float32)
