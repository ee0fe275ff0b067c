"""The threads that walk tables together."""

from __future__ import annotations

import os
import threading

import numpy as np

from .arena import LINE, address, aligned
from .execute import CALL_FIELDS, ROWS, SCRATCH, SYNC, walk
from .jit import kernel
from .sync import current_core, exchange, fetch, fetch_add, int64s, yield_core

# Turns of looking for work, each with an offer of the core to others, before a thread sleeps: about a millisecond.
# Waking it takes the caller some 0.1 ms, as waking does on most systems.
PATIENCE = 2000

# A team's mailbox: how many calls were posted, the last one's address, and the core of who posted it; then, a line for
# each thread, whether it sleeps and whether it must be woken.
POSTED, CALL, CORE = 0, 1, 2
ASLEEP, TO_WAKE = 0, 1


@kernel("int64(int64, int64, int64)")
def post(mailbox, call, threads):
    """Give all threads but 0 a call; return how many sleep and must be woken."""
    fields = int64s(call, CALL_FIELDS)
    counters = int64s(fields[SYNC], (fields[ROWS] + 1) * (LINE // 8))
    counters[:] = 0
    exchange(mailbox + CALL * 8, call)
    int64s(mailbox, CORE + 1)[CORE] = current_core()
    fetch_add(mailbox + POSTED * 8, 1)
    sleepers = 0
    for thread in range(1, threads):
        line = mailbox + thread * LINE
        asleep = exchange(line + ASLEEP * 8, 0)
        int64s(line, TO_WAKE + 1)[TO_WAKE] = asleep
        sleepers += asleep
    return sleepers


@kernel("int64(int64, int64, int64, int64, int64)")
def serve(mailbox, done, scratch, thread, threads):
    """Walk what is posted, until nothing comes for a while; return how many calls are `done` then.

    Thread 0, who posts, walks one. Of others, who takes the mark of sleep away decides: the thread itself, which
    then goes on, or `post`, which wakes it.
    """
    line = mailbox + thread * LINE
    turns = 0
    while True:
        if thread == 0 or fetch(mailbox + POSTED * 8) != done:
            done += 1
            walk(fetch(mailbox + CALL * 8), scratch, thread, threads)
            turns = 0
            if thread == 0:
                return done
        elif turns < PATIENCE:
            turns += 1
            yield_core()
        else:
            exchange(line + ASLEEP * 8, 1)
            if fetch_add(mailbox + POSTED * 8, 0) == done or exchange(line + ASLEEP * 8, 0) == 0:
                return done
            turns = 0


def thread_count(wanted: int | None) -> int:
    """How many threads work: one a core, or fewer where so many are wanted; one without a core holds all others up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted or cores, cores)


class Team:
    """Threads that walk tables together with the caller.

    Parameters
    ----------
    threads : int, optional
        With the caller, as `thread_count` has it.
    """

    def __init__(self, threads: int | None) -> None:
        self.threads = thread_count(threads)
        self.scratch = aligned(self.threads * SCRATCH)
        self._pid = 0

    def run(self, call: int) -> None:
        """Walk the call at this address to its end; by one caller at a time."""
        if self._pid != os.getpid():  # a forked child has none of its parent's threads
            self._start()
        if post(self._mailbox_address, call, self.threads):
            self._wake()
        serve(self._mailbox_address, 0, self._scratch_address, 0, self.threads)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._scratch_address = address(self.scratch)
        self._mailbox = aligned(self.threads * LINE).view(np.int64).reshape(self.threads, -1)
        self._mailbox_address = address(self._mailbox)
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
            done = serve(mailbox, done, self._scratch_address + thread * SCRATCH, thread, self.threads)
            alarm.acquire()

    def _wake(self) -> None:
        """Wake the threads that sleep, on other cores than the caller's.

        Linux, in a virtual machine, often puts a thread on the core of the one that wakes it: on two cores a
        network of 3.8 ms then took 6.1.
        """
        core = int(self._mailbox[0, CORE])
        others = os.sched_getaffinity(0) - {core} if core >= 0 else set()
        for thread in np.flatnonzero(self._mailbox[1:, TO_WAKE]).tolist():
            ident = self._threads[thread].native_id
            if others and ident is not None:
                os.sched_setaffinity(ident, others)
            self._alarms[thread + 1].release()
