"""The threads that walk tables together."""

from __future__ import annotations

import os
import threading
from functools import cache

import numpy as np

from .. import core_count
from . import table as t
from .arena import LINE, address, aligned
from .jit import load_kernels


def thread_count(wanted: int | None) -> int:
    """How many threads work: one a core, or fewer where so many are wanted; one without a core holds all others up."""
    return min(wanted or core_count(), core_count())


@cache
def team_of(threads: int) -> Team:
    """The one team of so many threads: networks share it, and take turns."""
    return Team(threads)


class Team:
    """Threads that walk tables together with the caller."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._native = load_kernels()
        self.scratch = aligned(self.threads * t.SCRATCH)
        self._scratch_address = address(self.scratch)
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def run(self, call: int) -> None:
        """Walk the call at this address to its end."""
        with self._lock:
            if not self._threads and self.threads > 1:
                self._start()
            if self._native.post(self._mailbox_address, call, self.threads):
                self._wake()
            self._native.serve(self._mailbox_address, 0, self._scratch_address, 0, self.threads)

    def _forget(self) -> None:
        """Have no threads: a forked child has none of its parent's."""
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._mailbox = aligned(self.threads * LINE).view(np.int64).reshape(self.threads, -1)
        self._mailbox_address = address(self._mailbox)

    def _start(self) -> None:
        self._alarms = [threading.Lock() for _ in range(self.threads)]
        self._threads = [
            threading.Thread(target=self._serve, args=(thread,), daemon=True) for thread in range(1, self.threads)
        ]
        for alarm, thread in zip(self._alarms[1:], self._threads, strict=True):
            alarm.acquire()
            thread.start()

    def _serve(self, thread: int) -> None:
        mailbox, alarm, done = self._mailbox_address, self._alarms[thread], 0
        while True:
            done = self._native.serve(mailbox, done, self._scratch_address + thread * t.SCRATCH, thread, self.threads)
            alarm.acquire()

    def _wake(self) -> None:
        """Wake the threads that sleep, on other cores than the caller's.

        Linux, in a virtual machine, often puts a thread on the core of the one that wakes it: on two cores a
        network of 3.8 ms then took 6.1.
        """
        core = int(self._mailbox[0, t.CORE])
        others = os.sched_getaffinity(0) - {core} if core >= 0 else set()
        for thread in np.flatnonzero(self._mailbox[1:, t.TO_WAKE]).tolist():
            ident = self._threads[thread].native_id
            if others and ident is not None:
                os.sched_setaffinity(ident, others)
            self._alarms[thread + 1].release()
