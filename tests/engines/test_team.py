"""The CPU engine's threads: which work, which sleep, and how they survive exceptions and forks."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from support import make_network, random_array, random_parameters

from darknet_py.engines import open_engine
from darknet_py.engines.cpu import table as t
from darknet_py.engines.cpu import team
from darknet_py.engines.cpu.arena import LINE
from darknet_py.engines.cpu.team import _Crew, team_of, thread_count
from darknet_py.errors import EngineError

NETWORK = make_network((3, 40, 40), ("convolutional", {"filters": 64, "size": 3, "pad": 1}), ("avgpool", {}))
BATCH = random_array((2, 3, 40, 40))

LOAD = """
import faulthandler, os, signal, sys, threading, time

if sys.argv[2:] == ["denied"]:
    sys.path.append("tests")
    from support_seccomp import deny_affinity

    assert deny_affinity(), "cannot be denied"
import numpy as np
from darknet_py import load_network

network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=2)
batch = np.ones((1, *network.input_shape), np.float32)
count = int(sys.argv[1])
"""
# Exceptions at any moment of a predict, and between two of them.
INTERRUPTED = """
class Interrupt(Exception):
    pass

def interrupt(signum, frame):
    raise Interrupt

expected = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=1).predict(batch)
signal.signal(signal.SIGALRM, interrupt)
random = np.random.default_rng(0)
raised = 0
while raised < count:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-3))
        while True:
            network.predict(batch)
            if random.random() < 0.02:
                time.sleep(random.uniform(0, 0.02))  # so long that threads go to sleep
    except Interrupt:
        raised += 1
    if raised % 100 == 0 or count < 100:
        start = time.monotonic()
        assert (network.predict(batch) == expected).all()
        assert time.monotonic() - start < 10, "the next answer comes late"
"""
FORKED = """
expected = network.predict(batch)
over = threading.Event()

def predict():
    while not over.is_set():
        assert (network.predict(batch) == expected).all()

threads = [threading.Thread(target=predict) for _ in range(4)]
for thread in threads:
    thread.start()
random = np.random.default_rng(0)
failed = []
for _ in range(count):
    time.sleep(random.uniform(0, 0.01))
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)  # ends a child that hangs, and says where
        os._exit(0 if (network.predict(batch) == expected).all() else 3)
    status = os.waitpid(child, 0)[1]
    if status:
        failed.append(status)
over.set()
for thread in threads:
    thread.join()
assert not failed, f"of {count} children some ended with {failed}"
assert (network.predict(batch) == expected).all()
"""
# A process that is stopped, or whose threads wait for cores, does not hang.
STOPPED = """
from darknet_py.engines.cpu import plan

plan.thread_count = lambda wanted: wanted
signal.alarm(300)  # ends a process that hangs
expected = network.predict(batch)
network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=64)
parent = os.getpid()
child = os.fork()
if child == 0:
    random = np.random.default_rng(0)
    while os.getppid() == parent:
        os.kill(parent, signal.SIGSTOP)
        time.sleep(random.uniform(0, 3e-3))
        os.kill(parent, signal.SIGCONT)
        time.sleep(random.uniform(0, 3e-3))
    os._exit(0)
for _ in range(100 * count):
    assert (network.predict(batch) == expected).all()
os.kill(child, signal.SIGKILL)
"""
THREADS = """
from darknet_py.engines.cpu import plan

plan.thread_count = lambda wanted: wanted
expected = network.predict(batch)
for threads in (1, 2, 3, 7, 16, 33, 64):
    network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=threads)
    for _ in range(count):
        assert (network.predict(batch) == expected).all()
print(expected.tobytes().hex())
"""
# Put on one core, and let go while the other thread still looks for work there.
CROWDED = """
import ctypes
from darknet_py.engines.cpu import table as t
from darknet_py.engines.cpu.arena import LINE
from darknet_py.engines.cpu.team import team_of

network.predict(batch)
_, post, *lines = team_of(2)._crew._mailbox.view(np.int64).reshape(-1, LINE // 8)
line = lines[t.LINES - 1]
current_core = ctypes.CDLL(None).sched_getcpu
other, cores = int(line[t.NUMBER]), os.sched_getaffinity(0)
core = min(cores)
tries = parted = 0
until = time.monotonic() + 60
while tries < count and time.monotonic() < until:
    post[t.WORKING] = post[t.UNTIL] = 0  # both work, whatever they have lost
    os.sched_setaffinity(0, {core})
    os.sched_setaffinity(other, {core})
    network.predict(batch)
    os.sched_setaffinity(0, cores)
    post[t.WORKING] = post[t.UNTIL] = 0
    if not line[t.ASLEEP] and current_core() == core:
        tries += 1
        network.predict(batch)
        parted += core not in os.sched_getaffinity(other)
assert tries, "the thread never looked for work"
assert 2 * parted > tries, f"{parted} of {tries}"
"""
COMPILED = """
from darknet_py.engines.cpu.compiler import compile_parts

assert compile_parts(["accumulate", "interpolate"])
"""
# One after another, as limits are per user; root has none.
CRAMPED = """
start = threading.Thread.start

def refuse(self):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
answer = network.predict(batch)
threading.Thread.start = start
assert (answer == load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=1).predict(batch)).all()
"""


def run_script(script, *arguments, options=()):
    command = [sys.executable, *options, "-c", LOAD + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    if "cannot be denied" in done.stderr:
        pytest.skip("needs seccomp")
    assert done.returncode == 0, done.stderr
    return done.stdout


def open_plan(threads):
    return open_engine("cpu", NETWORK.layers, random_parameters(NETWORK.layers), threads).plan(NETWORK.layers)


def test_networks_share_a_team():
    assert open_plan(2).engine.team is open_plan(2).engine.team is team_of(thread_count(2))


def test_networks_that_are_loaded_at_the_same_time_share_a_team(monkeypatch):
    both = threading.Barrier(2)

    class Slow(team.Team):
        def __init__(self, threads):
            both.wait(60)
            super().__init__(threads)

    monkeypatch.setattr(team, "Team", Slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(team_of, [3333, 3333])
    assert first is second


def test_a_forked_child_leaves_the_threads_of_its_parent_alone(monkeypatch):
    dismissed = []
    monkeypatch.setattr(_Crew, "dismiss", lambda crew: dismissed.append(crew))
    forked = team.Team(2)
    parents = forked._crew
    forked.renew()
    own = forked._crew
    del forked
    gc.collect()
    assert own in dismissed
    assert parents not in dismissed


def test_there_is_a_thread_a_core_and_at_most_one_a_processor(monkeypatch):
    monkeypatch.setattr(team, "core_count", lambda: 4)
    monkeypatch.setattr(team, "processor_count", lambda: 8)
    assert [thread_count(wanted) for wanted in (None, 1, 6, 1000)] == [4, 1, 6, 8]


@pytest.mark.skipif(thread_count(None) < 2, reason="needs two cores")
def test_threads_that_went_to_sleep_are_woken():
    plan = open_plan(2)
    first = plan.run(BATCH)
    line = plan.engine.team._crew._mailbox.view(np.int64).reshape(-1, LINE // 8)[1 + t.LINES]
    for _ in range(3):
        until = time.monotonic() + 60
        while not line[t.ASLEEP] and time.monotonic() < until:
            time.sleep(0.001)
        assert line[t.ASLEEP], "the thread looks for work for a minute"
        assert (plan.run(BATCH) == first).all()


@pytest.mark.skipif(thread_count(None) < 2, reason="needs two cores")
def test_a_team_that_nobody_needs_leaves_no_threads():
    engine = open_engine("cpu", NETWORK.layers, random_parameters(NETWORK.layers), 1).fork(2)
    engine.plan(NETWORK.layers).run(BATCH)
    gc.collect()  # what other tests have left
    tasks = f"/proc/{os.getpid()}/task"
    before = len(os.listdir(tasks))
    del engine
    gc.collect()  # plans hold each other
    until = time.monotonic() + 60
    while len(os.listdir(tasks)) >= before and time.monotonic() < until:
        time.sleep(0.001)
    assert len(os.listdir(tasks)) < before


@pytest.fixture
def crowd():
    """A plan for a team of 64 threads, its mailbox, and what one thread answers."""
    engine = open_engine("cpu", NETWORK.layers, random_parameters(NETWORK.layers), 1)
    expected = engine.plan(NETWORK.layers).run(BATCH)
    engine = engine.fork(64)
    return engine.plan(NETWORK.layers), engine.team._crew._mailbox.view(np.int64).reshape(-1, LINE // 8), expected


def test_threads_without_a_core_neither_hang_nor_change_the_answer(crowd):
    plan, _, expected = crowd
    for _ in range(300):
        assert (plan.run(BATCH) == expected).all()


def test_a_walk_goes_on_with_half_the_threads_where_they_lose_too_much_and_with_more_later(crowd):
    plan, (barriers, post, *_), expected = crowd
    plan.run(BATCH)
    for _ in range(100):
        if post[t.WORKING] == 1:
            break
        post[t.UNTIL] = np.iinfo(np.int64).max
        # As if a thread of the next stretch had lost too much; some may have, without a core.
        working = int(post[t.WORKING]) or 64
        barriers[t.LATE] = (int(post[t.POSTED]) // t.MOST_THREADS + 1) * t.MOST_THREADS + working
        assert (plan.run(BATCH) == expected).all()
        assert post[t.WORKING] < 64
        assert post[t.PAUSE] > 0
    assert post[t.WORKING] == 1
    post[t.UNTIL] = post[t.RAISED] = 0
    posted = int(post[t.POSTED])
    assert (plan.run(BATCH) == expected).all()
    assert post[t.RAISED] > 0
    assert post[t.POSTED] > posted


def test_threads_that_are_not_needed_now_sleep(crowd):
    plan, (_, post, *lines), expected = crowd
    plan.run(BATCH)
    post[t.WORKING], post[t.UNTIL] = 1, np.iinfo(np.int64).max
    asleep = lines[t.LINES - 1 :: t.LINES]
    until = time.monotonic() + 60
    while not all(line[t.ASLEEP] for line in asleep) and time.monotonic() < until:
        assert (plan.run(BATCH) == expected).all()
    assert all(line[t.ASLEEP] for line in asleep)


def test_threads_that_the_system_refuses_are_done_without():
    run_script(CRAMPED, 0)


@pytest.mark.skipif(thread_count(None) < 2 or sys.platform != "linux", reason="needs two cores, and Linux")
def test_a_thread_on_the_caller_s_core_is_sent_to_another():
    run_script(CROWDED, 50)


def test_threads_that_may_not_choose_their_cores_answer_the_same():
    assert run_script(THREADS, 20, "denied") == run_script(THREADS, 1, "allowed")


def test_kernels_are_compiled_where_the_cores_are_not_told():
    run_script(COMPILED, 0, "denied")


def test_who_predicts_in_what_has_interrupted_its_own_prediction_is_told_and_waits_for_nothing(monkeypatch):
    """As in a signal's handler, which Python runs after a walk; other networks of the team answer there."""
    plan, other, walk, told = open_plan(2), open_plan(2), _Crew.run, []

    def interrupted(crew, call):
        walk(crew, call)
        if not told:
            told.append(None)
            with pytest.raises(
                EngineError, match=r"^engine=cpu: the network is at work in this thread, which a signal"
            ):
                plan.run(BATCH)
            told.append(other.run(BATCH))

    monkeypatch.setattr(_Crew, "run", interrupted)
    answer = plan.run(BATCH)
    assert answer.tobytes() == told[1].tobytes() == plan.run(BATCH).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("affinity", ["allowed", "denied"])
@pytest.mark.parametrize("options", [(), ("-X", "dev")], ids=["plain", "dev"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and timers")
def test_an_exception_at_any_moment_leaves_the_threads_ready(affinity, options):
    run_script(INTERRUPTED, os.environ.get("DARKNET_PY_EXCEPTIONS", 200), affinity, options=options)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_process_that_is_stopped_again_and_again_ends():
    run_script(STOPPED, os.environ.get("DARKNET_PY_STOPS", 20))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_while_threads_predict_has_threads_and_locks_of_its_own():
    run_script(FORKED, os.environ.get("DARKNET_PY_FORKS", 20))
