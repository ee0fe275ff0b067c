"""What plan and speed tell of a network on the CPU."""

from __future__ import annotations

import os

import numpy as np
import pytest

from darknet_py.cli import main
from darknet_py.engines.cpu.builder import share_time
from darknet_py.engines.cpu.inspect import _Product
from darknet_py.engines.cpu.team import Team

NO_MACHINE = 1e13  # floating-point operations a second, on a core


@pytest.fixture
def tell(capsys):
    """The lines that a command prints."""

    def tell(*arguments):
        assert main(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    return tell


@pytest.mark.parametrize("name", ["extraction", "resnext50", "vgg-16"])
def test_plan_names_the_next_best_in_lines_that_can_be_read(tell, name):
    lines = tell("plan", name)
    assert max(map(len, lines)) <= 120
    assert "next best" in lines[0]
    assert any(line.endswith(" x") for line in lines)


def test_verbose_plan_names_all_others_on_lines_of_their_own(tell):
    short, long = tell("plan", "extraction"), tell("plan", "extraction", "--verbose")
    layers = [line.split()[0] for line in long if line.split()[0].isdigit()]
    assert layers == [line.split()[0] for line in short if line.split()[0].isdigit()]
    assert len(long) > 3 * len(short)
    assert max(map(len, long)) <= 200
    assert any("strassen_1x1: needs a 1 x 1 window" in line for line in long)


def test_speed_tells_no_rate_beyond_the_machine(tell):
    lines = tell("speed", "shapes", "--threads", "2")
    (_, *layers, (whole, milliseconds, rate)) = [line.split() for line in lines]
    assert whole == "all"
    assert float(milliseconds) > 0
    assert float(rate) * 1e9 < NO_MACHINE
    convolutions = [layer for layer in layers if layer[1] == "convolutional"]
    assert len(convolutions) == 11
    assert all(float(layer[5]) * 1e9 < NO_MACHINE for layer in convolutions)


def test_an_operation_ends_with_the_last_thread_and_begins_where_the_last_ended():
    """Thread 0 slept at the second barrier, while thread 1 did all of the third operation."""
    clock = np.array([[100, 200, 290, 600, 700], [150, 220, 300, 390, 690]])
    np.testing.assert_allclose(share_time(clock), np.array([120, 80, 300, 100]) / 600)


def test_shares_of_no_operation_are_none():
    assert share_time(np.array([[100]])).tolist() == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be put on a core here")
def test_no_operation_seems_faster_than_it_is_where_threads_wait_for_a_core():
    cores = os.sched_getaffinity(0)
    product = _Product(1)
    product.team = Team(2)
    os.sched_setaffinity(0, {min(cores)})
    try:
        rates = [product.measure() for _ in range(20)]
    finally:
        os.sched_setaffinity(0, cores)
    assert max(rates) < NO_MACHINE
