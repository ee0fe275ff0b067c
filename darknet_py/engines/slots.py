"""Which values may take turns in a buffer: of a network that answers, and of one that learns."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Sequence
from typing import NamedTuple


class Lifetime(NamedTuple):
    """When a value is needed, and how large it is.

    Attributes
    ----------
    first, last : int
        The steps that use it first and last. What one of them reads and what it writes lie apart.
    size : int
    """

    first: int
    last: int
    size: int


def assign_slots(lifetimes: Sequence[Lifetime]) -> tuple[list[int], list[int]]:
    """For each value its slot, in which nothing else is needed meanwhile; and how large each slot is.

    The largest value comes first, and each takes the first slot that is free: what comes later fits into it.
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
    """Whether none of `turns`, which come one after another, falls between two steps, these too."""
    after = bisect(turns, last, key=lambda turn: turn[0])
    return after == 0 or turns[after - 1][1] < first
