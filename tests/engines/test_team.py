"""The CPU engine's threads."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from support import make_network, random_array, random_parameters

from darknet_py.engines import open_engine
from darknet_py.engines.cpu.team import team_of, thread_count

NETWORK = make_network((3, 40, 40), ("convolutional", {"filters": 64, "size": 3, "pad": 1}), ("avgpool", {}))
BATCH = random_array((2, 3, 40, 40))

FORK = """
import os
import numpy as np
from darknet_py.engines.cpu.team import team_of
from darknet_py import load_network

network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="cpu", threads=2)
batch = np.ones((1, *network.input_shape), np.float32)
before = network.predict(batch)
child = os.fork()
if child == 0:
    os._exit(0 if (network.predict(batch) == before).all() else 1)
assert os.waitpid(child, 0)[1] == 0
assert (network.predict(batch) == before).all()
"""


def open_plan(threads):
    return open_engine("cpu", NETWORK.layers, random_parameters(NETWORK.layers), threads).plan(NETWORK.layers)


def test_networks_share_a_team():
    assert open_plan(2).engine.team is open_plan(2).engine.team is team_of(thread_count(2))


def test_there_are_no_more_threads_than_cores():
    assert thread_count(None) == thread_count(1000) >= thread_count(1) == 1


@pytest.mark.skipif(thread_count(None) < 2, reason="needs two cores")
def test_threads_that_went_to_sleep_are_woken():
    plan = open_plan(2)
    first = plan.run(BATCH)
    team = plan.engine.team
    for _ in range(3):
        until = time.monotonic() + 60
        while not team._mailbox[1, 0] and time.monotonic() < until:
            time.sleep(0.001)
        assert team._mailbox[1, 0], "the thread looks for work for a minute"
        assert (plan.run(BATCH) == first).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_threads_of_its_own():
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
