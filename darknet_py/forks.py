"""What a forked child makes anew: locks that another thread of its parent may have held."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import ref


class Renewable(Protocol):
    """Something with locks or threads."""

    def renew(self) -> None:
        """Have new locks, and no threads."""


_known: list[ref[Renewable]] = []


def renew_after_fork(thing: Renewable) -> None:
    """Let a forked child call `thing.renew()` before anything else."""
    _known[:] = [known for known in _known if known() is not None]
    _known.append(ref(thing))


def _renew() -> None:
    for known in list(_known):
        thing = known()
        if thing is not None:
            thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
