"""Which values may share a buffer one after another, in inference and in training."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Sequence
from typing import NamedTuple


class Lifetime(NamedTuple):
    """When a value is needed, and how large it is.

    Attributes
    ----------
    first, last : int
        The steps that use it first and last. What a step reads and what it writes never share a buffer.
    size : int
    """

    first: int
    last: int
    size: int


def assign_slots(lifetimes: Sequence[Lifetime]) -> tuple[list[int], list[int]]:
    """For each value its slot, in which nothing else is needed meanwhile; and how large each slot is.

    Values are placed from the largest to the smallest, each into the first slot that is free: it always fits.
    """
    slots, sizes = [0] * len(lifetimes), list[int]()
    taken: list[list[tuple[int, int]]] = []  # by slot, the steps during which it is, in order
    for number in sorted(range(len(lifetimes)), key=lambda number: (-lifetimes[number].size, lifetimes[number].first)):
        first, last, size = lifetimes[number]
        slot = next((slot for slot, turns in enumerate(taken) if _is_free(turns, first, last)), len(taken))
        if slot == len(taken):
            taken.append([])
            sizes.append(size)
        insort(taken[slot], (first, last))
        slots[number] = slot
    return slots, sizes


def _is_free(turns: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    """Whether none of `turns`, which are in order and do not overlap, falls within the steps `first` to `last`."""
    after = bisect(turns, last, key=lambda turn: turn[0])
    return after == 0 or turns[after - 1][1] < first
