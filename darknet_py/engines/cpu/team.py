"""The threads that walk tables together."""

from __future__ import annotations

import ctypes
import threading
from itertools import count
from weakref import finalize

from ...forks import renew_after_fork
from ...limits import core_count, processor_count
from . import table as t
from .arena import LINE, address, aligned
from .jit import Native, load_kernels


def thread_count(wanted: int | None) -> int:
    """How many threads work: as many as are wanted, otherwise one per core, whose arithmetic units it keeps busy.

    At most one per processor: a thread without one holds all others up.
    """
    return min(wanted or core_count(), processor_count())


_teams: dict[int, Team] = {}


def team_of(threads: int) -> Team:
    """The one team of this many threads: networks share it, and take turns."""
    found = _teams.get(threads)
    return _teams.setdefault(threads, Team(threads)) if found is None else found  # the same for simultaneous callers


class Team:
    """Threads that walk tables together with the caller.

    An exception may be raised anywhere in the caller's Python code, by a signal's handler or another thread: what that
    code does is complete after each instruction, or can be done again.

    Attributes
    ----------
    threads : int
        The most that work; fewer where the system gives no more.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._native = load_kernels()
        self._dismissal: finalize[..., Team] | None = None
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start over, with no threads but the caller's."""
        self._lock = threading.RLock()  # a signal's handler may run between two walks
        self._crew = _Crew(self.threads, self._native)
        if self._dismissal is not None:
            self._dismissal.detach()  # a forked child has none of its parent's threads
        self._dismissal = finalize(self, self._crew.dismiss)
        self._dismissal.atexit = False

    def run(self, call: int) -> None:
        """Walk the call at this address to its end."""
        with self._lock:
            self._crew.run(call)


class _Crew:
    """The threads of a team, and the memory through which they get their work; it lives as long as they do."""

    def __init__(self, threads: int, native: Native) -> None:
        self._native, self._wanted, self._present = native, threads, 1
        self._numbers = count(1)
        self._mailbox = aligned((1 + threads * t.LINES) * LINE)
        self._scratch = aligned(threads * t.SCRATCH)
        self._addresses = address(self._mailbox), address(self._scratch)

    def run(self, call: int) -> None:
        while self._present < self._wanted:
            try:
                # If an exception comes before this is counted, one more is started, which finds no place and ends.
                threading.Thread(target=self._serve, daemon=True).start()
            except RuntimeError:  # the system gives no more
                self._wanted = self._present
                break
            self._present += 1
        mailbox, scratch = self._addresses
        self._native.work(mailbox, call, scratch, 0, self._present)

    def dismiss(self) -> None:
        """Make the threads end."""
        mailbox, scratch = self._addresses
        self._native.work(mailbox, 0, scratch, 0, self._present)

    def _serve(self) -> None:
        thread = next(self._numbers)
        start = (1 + thread * t.LINES) * LINE
        if start >= len(self._mailbox):
            return
        mailbox, scratch = self._addresses
        line = self._mailbox[start : start + LINE].view("i8")
        line[t.ALARM] = _make_alarm()
        line[t.NUMBER] = threading.get_native_id()
        self._native.work(mailbox, 0, scratch + thread * t.SCRATCH, thread, 0)


def _make_alarm() -> int:
    """The address of one of Python's locks, taken: a thread that takes it again sleeps until it is released."""
    locks = ctypes.pythonapi
    locks.PyThread_allocate_lock.restype = ctypes.c_void_p
    locks.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
    lock: int = locks.PyThread_allocate_lock()
    locks.PyThread_acquire_lock(lock, 1)
    return lock
