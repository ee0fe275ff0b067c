"""Forks: which work they wait for, and what a child renews, as another thread of its parent may have held it."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


class Gate:
    """Work that a fork waits for, and that begins only after it.

    OpenBLAS ends its threads before a fork: a product that another thread is computing then never returns.
    """

    PATIENCE = 60.0  # seconds; a signal's handler may fork amid the work that it interrupted

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Let nothing be under way."""
        self._changed = threading.Condition()  # reentrant, for handlers of signals that fork
        self._working = self._forking = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep forks from happening amid this; it must not be nested."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Wait for the work that is under way; none begins until `open` is called."""
        self._changed.acquire()
        self._forking += 1
        self._changed.wait_for(lambda: not self._working, self.PATIENCE)

    def open(self) -> None:
        """Let work begin, after `close`."""
        self._forking -= 1
        self._changed.notify_all()
        self._changed.release()


PRODUCTS = Gate()  # of NumPy's matrices


def _renew() -> None:
    for thing in list(_known):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=PRODUCTS.close, after_in_parent=PRODUCTS.open, after_in_child=_renew)
