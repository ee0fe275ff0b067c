"""How far apart cores are: a measurement decides where it is made twice."""

from __future__ import annotations

import pytest

from darknet_py.engines.cpu import distance
from darknet_py.engines.cpu.distance import Distance
from darknet_py.engines.cpu.team import team_of


class Clock:
    """A team of two, and the clock by which each of its barriers takes `nanoseconds`."""

    threads = 2

    def __init__(self):
        self.now, self.nanoseconds, self.runs = 1000.0, 0, 0

    def perf_counter(self):
        return self.now

    def run(self, call):
        self.runs += 1
        self.now += distance.BARRIERS * self.nanoseconds * 1e-9


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(distance, "time", clock)
    return clock


def test_two_measurements_decide(clock):
    cores = Distance(clock)
    told = []
    for clock.nanoseconds in (200, 500, 200, 500, 500, 500, 200, 500, 200, 200):
        clock.now += distance.PERIOD
        told.append(cores.is_far())
    assert told == [False] * 4 + [True] * 4 + [True, False]


def test_it_is_not_measured_all_the_time(clock):
    cores = Distance(clock)
    cores.is_far()
    assert clock.runs == 0
    clock.now += distance.PERIOD
    for _ in range(10):
        cores.is_far()
    assert clock.runs == 1


def test_one_thread_is_not_measured(clock):
    clock.threads = 1
    cores = Distance(clock)
    clock.now += distance.PERIOD
    assert not cores.is_far()
    assert clock.runs == 0


def test_barriers_are_run_and_timed():
    assert Distance(team_of(2))._measure() > 0
