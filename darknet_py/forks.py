"""What a forked child makes anew: locks that another thread of its parent may have held."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something with locks or threads."""

    def renew(self) -> None:
        """Have new locks, and no threads."""


_known: WeakSet[Renewable] = WeakSet()  # what threads add at the same time is in it, as in no list that is tidied


def renew_after_fork(thing: Renewable) -> None:
    """Let a forked child call `thing.renew()` before anything else."""
    _known.add(thing)


def _renew() -> None:
    for thing in list(_known):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
