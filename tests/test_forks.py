"""What a forked child makes anew; that each module's locks are among it is tested with that module."""

from __future__ import annotations

import os
import signal
import sys
from threading import Barrier, Event, Thread

import pytest

from darknet_py import forks

THREADS, EACH = 8, 1000


class Thing:
    renewed = False

    def renew(self):
        self.renewed = True


def test_what_many_threads_make_at_the_same_time_is_all_renewed(monkeypatch):
    """Also while others go."""
    monkeypatch.setattr(forks, "_known", type(forks._known)())  # nothing that other tests have left is to be renewed
    start, made = Barrier(THREADS), []

    def make():
        start.wait()
        for _ in range(EACH):
            forks.renew_after_fork(Thing())
            kept = Thing()
            forks.renew_after_fork(kept)
            made.append(kept)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=make) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    forks._renew()
    assert len(made) == THREADS * EACH
    assert all(thing.renewed for thing in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_while_a_thread_computes_a_property_computes_it_too():
    entered, over = Event(), Event()

    class Slow:
        @forks.cached_property
        def value(self):
            if os.getpid() == parent:
                entered.set()
                over.wait()
            return [1]

    parent, slow = os.getpid(), Slow()
    thread = Thread(target=lambda: slow.value)
    thread.start()
    entered.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends a child that waits
        os._exit(slow.value != [1])
    status = os.waitpid(child, 0)[1]
    over.set()
    thread.join()
    assert status == 0
    assert slow.value is slow.value
