"""The executions that an engine keeps: which one serves a batch, and which is dropped where memory does not suffice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from weakref import ref

from .execution import Execution

MAX_EXECUTIONS = 8  # shapes of batches whose memory and graphs are kept


class Executions:
    """An engine's executions, which may be dropped for those of its forks, too.

    Parameters
    ----------
    family : list of ref to Executions
        Those of all engines on the same parameters; these join it.

    Attributes
    ----------
    kept : OrderedDict of (int, int, int) to Execution
        By the height, width and number of pictures; the one that was used last is the last.
    lock : Lock
        To be held while they are used: they share a queue.
    """

    def __init__(self, family: list[ref[Executions]]) -> None:
        self.kept: OrderedDict[tuple[int, int, int], Execution] = OrderedDict()
        self.lock = threading.Lock()
        self._served: set[tuple[int, int, int]] = set()
        self._family = family
        family.append(ref(self, family.remove))

    def serve(self, key: tuple[int, int, int], make: Callable[[], Execution]) -> Execution | None:
        """The execution for a `key` of `kept`, made where it is not there yet; None where memory does not suffice.

        One for less than twice as many pictures serves as well; one for more does if this number of pictures comes for
        the first time, like that of a dataset's last ones.
        """
        larger = [other for other in self.kept if other[:2] == key[:2] and other[2] > key[2]]
        if larger and key not in self.kept and (min(larger)[2] < 2 * key[2] or key not in self._served):
            self._served.add(key)
            key = min(larger)
        if key not in self.kept:
            while len(self.kept) >= MAX_EXECUTIONS:
                self.kept.popitem(last=False)
            made = self._make(make)
            if made is None:
                return None
            self.kept[key] = made
        self.kept.move_to_end(key)
        return self.kept[key]

    def _make(self, make: Callable[[], Execution]) -> Execution | None:
        """An execution, for which others are dropped where memory does not suffice."""
        while True:
            try:
                return make()
            except MemoryError:
                pass  # what it had allocated is freed with the error
            if not self._give_up_one():
                return None

    def _give_up_one(self) -> bool:
        """Drop an execution that nobody uses, of this engine or one on the same parameters; whether there was one."""
        if self.kept:
            self.kept.popitem(last=False)
            return True
        for other in [reference() for reference in [*self._family]]:  # a copy: other threads join, and leave
            if other is not None and other is not self and other.lock.acquire(blocking=False):
                try:
                    if other.kept:
                        other.kept.popitem(last=False)
                        return True
                finally:
                    other.lock.release()
        return False
