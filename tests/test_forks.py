"""What a forked child makes anew; that each module's locks are among it is tested with that module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Barrier, Event, Thread

import pytest
from conftest import ROOT

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


def test_a_fork_waits_for_work_and_work_for_a_fork():
    gate, entered, over, closed, forked, told = forks.Gate(), Event(), Event(), Event(), Event(), []

    def work(name):
        with gate.hold():
            told.append(name)
            entered.set()
            over.wait()

    def fork():
        gate.close()
        closed.set()
        forked.wait(10)
        gate.open()

    first, second = (Thread(target=work, args=[name], daemon=True) for name in ("first", "second"))
    first.start()
    entered.wait()
    forking = Thread(target=fork, daemon=True)
    forking.start()
    while not gate._forking:
        pass
    second.start()
    assert not closed.wait(0.1)
    over.set()
    assert closed.wait(10)
    second.join(0.1)
    assert told == ["first"]
    forked.set()
    second.join(10)
    assert told == ["first", "second"]


def test_work_that_a_fork_interrupted_itself_is_not_waited_for_for_ever(monkeypatch):
    gate = forks.Gate()
    monkeypatch.setattr(forks.Gate, "PATIENCE", 0.01)
    with gate.hold():
        gate.close()
        gate.open()
    gate.close()
    gate.open()


def test_a_handler_may_fork_wherever_it_interrupts_its_thread():
    gate, forked = forks.Gate(), Event()

    def interrupted():
        with gate._changed:
            gate.close()
            gate.open()
        forked.set()

    Thread(target=interrupted, daemon=True).start()
    assert forked.wait(10)


# NumPy's threads compute products while children are forked.
FORK = """
import os, sys, threading, time
import numpy as np
from darknet_py.layers.product import multiply
a, stop, products = np.ones((400, 400), "f"), time.monotonic() + 2, [0, 0]

def work(place):
    while time.monotonic() < stop:
        multiply(a, a)
        products[place] += 1

threads = [threading.Thread(target=work, args=[place], daemon=True) for place in range(2)]
for thread in threads:
    thread.start()
while time.monotonic() < stop:
    child = os.fork()
    if child == 0:
        os._exit(int(multiply(a, a)[0, 0]) != 400)
    assert os.waitpid(child, 0)[1] == 0
for thread in threads:
    thread.join(20)
os._exit(any(thread.is_alive() for thread in threads) or not all(products))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_products_and_forks_of_several_threads_hold_nobody_up():
    """With threads of NumPy's own, which its OpenBLAS ends before a fork."""
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "2"}, cwd=ROOT, timeout=60)
    assert done.returncode == 0
