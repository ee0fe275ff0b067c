"""A network that several threads run at the same time, each with cores of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from .running import RunningNetwork

if TYPE_CHECKING:
    from .layers import Array

Forked = TypeVar("Forked", bound=RunningNetwork)


class Forks(Generic[Forked]):
    """A fork of a network for each thread that asks for one, with so many threads of the CPU for its own.

    Attributes
    ----------
    own : RunningNetwork
        The calling thread's.
    """

    def __init__(self, network: Forked, threads: int) -> None:
        self._network, self._threads = network, threads
        self._local = threading.local()

    @property
    def own(self) -> Forked:
        if not hasattr(self._local, "network"):
            self._local.network = self._network.fork(self._threads)
        network: Forked = self._local.network
        return network

    def run(self, run: Callable[[Forked, Array], Array], batch: Array) -> Array:
        """What `run` gives for inputs (n, channels, height, width) of the thread's own fork.

        Those many times as large as the network's own are run, in whatever thread, by the network itself, one batch
        after another: memory may have no room for as many at a time as there are forks.
        """
        return run(self._network if self._network.exceeds_fork(batch) else self.own, batch)

    def probabilities(self, batch: Array, only_leaves: bool = True) -> Array:
        """As the network gives them."""
        return self.run(lambda network, given: network.probabilities(given, only_leaves), batch)
