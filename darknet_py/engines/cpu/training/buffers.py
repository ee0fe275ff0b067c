"""Memory of a mini-batch that outputs, deltas and workspaces use in turns.

Addresses come first, memory last. A buffer that is taken has an address at which there is nothing, which is written
into operations like any other. Once all operations are there, they show from which to which of them a buffer is used,
and it gets a place that nothing else uses meanwhile. So no use is overlooked, and no buffer overwritten while needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...slots import Lifetime, assign_slots
from ..arena import LINE, Store, address, huge, round_up

if TYPE_CHECKING:
    import numpy.typing as npt

Kind = Literal["output", "delta", "workspace"]
NOWHERE = 1 << 60  # the first address at which there is nothing; no other number is as large
APART = 1 << 12  # bytes between two buffers, so that an address beside a buffer is in no other


@dataclass(eq=False)
class Buffer:
    """Bytes that some calls use, one after another.

    Attributes
    ----------
    kind : str
        What it is for: an output, a delta, or what operations need besides.
    start, size : int
        The address before there is memory, and the size in bytes.
    first, last : int
        The numbers of the calls that use it first and last; -1 where none does.
    place : int
        Its offset in memory.
    """

    kind: Kind
    start: int
    size: int
    first: int = -1
    last: int = -1
    place: int = 0

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The buffer as an array, which cannot be written to, and must not be read."""
        return {"data": (self.start, True), "shape": (self.size,), "typestr": "|u1", "version": 3}


class Buffers(Store):
    """Hands out addresses, and memory once it is known when they are used.

    Attributes
    ----------
    all : list of Buffer
    size : int
        Bytes of memory, once the buffers are laid out.
    """

    memory: npt.NDArray[np.uint8]
    _starts: npt.NDArray[np.int64]  # by buffers' numbers
    _places: npt.NDArray[np.int64]

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Buffer] = []
        self.size = 0
        self._next = NOWHERE

    def take(self, size: int, kind: Kind = "workspace") -> npt.NDArray[np.uint8]:
        """`size` bytes, of any contents, from the start of a cache line: an array that serves for its address alone."""
        buffer = Buffer(kind, self._next, size)
        self.all.append(buffer)
        self._next += round_up(size, LINE) + APART
        return np.asarray(buffer)

    def lay_out(self, addresses: npt.NDArray[np.int64], calls: npt.NDArray[np.int64]) -> None:
        """Find a place for each buffer; an unused line follows each slot.

        Parameters
        ----------
        addresses : array of int64
            All addresses that are used, in any order.
        calls : array of int64
            The numbers of the calls that use them.
        """
        self._starts = np.array([buffer.start for buffer in self.all], np.int64)
        numbers = self._find(addresses)
        for number, call in zip(numbers.tolist(), calls.tolist(), strict=True):
            buffer = self.all[number]
            buffer.first = call if buffer.first < 0 else min(buffer.first, call)
            buffer.last = max(buffer.last, call)
        used = [buffer for buffer in self.all if buffer.first >= 0]
        slots, sizes = assign_slots([Lifetime(b.first, b.last, round_up(b.size, LINE)) for b in used])
        *places, self.size = accumulate((size + LINE for size in sizes), initial=0)
        for buffer, slot in zip(used, slots, strict=True):
            buffer.place = places[slot]
        self._places = np.array([buffer.place for buffer in self.all], np.int64)

    def _find(self, addresses: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The numbers of the buffers that addresses are in."""
        numbers = np.searchsorted(self._starts, addresses, "right") - 1
        starts, places = self._starts[numbers].tolist(), addresses.tolist()
        sizes = (self.all[number].size for number in numbers)
        assert all(a <= b <= a + size for a, b, size in zip(starts, places, sizes, strict=True))
        return numbers

    def allocate(self) -> None:
        """Get the memory."""
        self.memory = huge(self.size)

    def move(self, addresses: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Addresses in memory for those that were handed out."""
        numbers = self._find(addresses)
        return addresses - self._starts[numbers] + self._places[numbers] + address(self.memory)

    def find(self, outline: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array in memory for a whole one that was handed out."""
        (start,) = self.move(np.array([address(outline)])) - address(self.memory)
        return self.memory[start : start + outline.nbytes].view(outline.dtype).reshape(outline.shape)
