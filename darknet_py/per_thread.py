"""A network that several threads run at the same time, each with cores of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .classifier import Classifier
    from .layers import Array


class Forks:
    """A fork of a network for each thread that asks for one, with `threads` threads of the CPU of its own.

    Attributes
    ----------
    own : Classifier
        The calling thread's.
    """

    def __init__(self, network: Classifier, threads: int) -> None:
        self._network, self._threads = network, threads
        self._local = threading.local()

    @property
    def own(self) -> Classifier:
        if not hasattr(self._local, "network"):
            self._local.network = self._network.fork(self._threads)
        network: Classifier = self._local.network
        return network

    def probabilities(self, batch: Array, only_leaves: bool = True) -> Array:
        """The network's probabilities, by the thread's own fork.

        Inputs many times as large as the network's own are run by the network itself, whatever the thread, one batch
        after another: memory may not have room for as many at a time as there are forks.
        """
        network = self._network if self._network.exceeds_fork(batch) else self.own
        return network.probabilities(batch, only_leaves)
