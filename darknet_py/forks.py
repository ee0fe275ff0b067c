"""What a forked child renews: locks that another thread of its parent may have held."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING or sys.version_info >= (3, 12):  # Python's own has no lock
    from functools import cached_property as cached_property  # noqa: TID251
else:

    class cached_property(functools.cached_property):  # noqa: N801, TID251
        """Python's, without its lock, for which a child that is forked while a thread computes would wait for ever.

        Threads that ask at the same time each compute the value.
        """

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            return instance.__dict__.setdefault(self.attrname, self.func(instance))


class Renewable(Protocol):
    """Something with locks or threads."""

    def renew(self) -> None:
        """Make new locks, and forget all threads."""


_known: WeakSet[Renewable] = WeakSet()  # loses nothing that threads add at the same time, unlike a list that is tidied


def renew_after_fork(thing: Renewable) -> None:
    """Let a forked child call `thing.renew()` before anything else."""
    _known.add(thing)


def _renew() -> None:
    for thing in list(_known):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
