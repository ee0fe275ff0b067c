"""What a forked child makes anew; that it does is held by the tests of what has locks."""

from __future__ import annotations

import sys
from threading import Barrier, Thread

from darknet_py import forks

THREADS, EACH = 8, 1000


class Thing:
    renewed = False

    def renew(self):
        self.renewed = True


def test_what_many_threads_make_at_the_same_time_is_all_renewed(monkeypatch):
    """Also while others go."""
    monkeypatch.setattr(forks, "_known", type(forks._known)())  # what other tests have left has nothing to renew
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
