"""Learning rates: those that the C program printed, and what the fork's policies say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import cfg_text
from support_training import cases, recorded

from darknet_py.cfg import parse_cfg
from darknet_py.network import Network
from darknet_py.training.options import TrainingOptions
from darknet_py.training.schedule import rate

BATCH = 8  # of all recorded runs


def options(**keys):
    net = {"width": 8, "height": 8, "channels": 3, **keys}
    return TrainingOptions.of(Network(parse_cfg(cfg_text([("net", net), ("softmax", {})]), "x.cfg"), "x.cfg"))


def rates(count, **keys):
    found = options(**keys)
    return [rate(found, n) for n in range(1, count + 1)]


@pytest.mark.parametrize("case", [case for case in cases.CASES if case != "policy_sig"])  # which is refused here
def test_rates_are_those_of_the_c_program(case):
    expected = recorded(case)["rates"]
    found, before = TrainingOptions.of(Network(parse_cfg(cases.cfg_text(case), case), case)), cases.seen(case) // BATCH
    actual = [rate(found, before + n) for n in range(1, len(expected) + 1)]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


def test_the_first_iteration_is_number_1_and_poly_ends_at_0():
    assert rates(4, learning_rate=1, policy="poly", power=1, max_batches=4) == [0.75, 0.5, 0.25, 0]
    assert rate(options(learning_rate=1, policy="poly", power=1.5, max_batches=4), 9) == 0


def test_burn_in_comes_before_any_policy():
    found = rates(3, learning_rate=1, policy="steps", steps="1,3", scales="8,2", burn_in=2, power=2)
    assert found == [0.25, 8, 16]


def test_sgdr_restarts_and_each_cycle_is_longer():
    found = rates(12, learning_rate=1, policy="sgdr", sgdr_cycle=4, sgdr_mult=2, learning_rate_min=0.125)
    assert found[3] == pytest.approx(0.125)
    assert found[11] == pytest.approx(0.125)
    assert found[1] == pytest.approx(0.125 + 0.875 / 2)
    assert found[4] == pytest.approx(0.125 + 0.875 / 2 * (1 + math.cos(math.pi / 8)))


def test_sgdr_without_a_cycle_and_cosine_fall_once_to_the_end():
    plain = {"learning_rate": 1, "max_batches": 8, "learning_rate_min": 0}
    expected = [(1 + math.cos(math.pi * n / 8)) / 2 for n in range(1, 9)]
    for policy in ("sgdr", "cosine"):
        np.testing.assert_allclose(rates(8, policy=policy, **plain), expected, atol=1e-7)


def test_a_random_rate_is_the_same_in_every_run_of_a_seed():
    found = options(learning_rate=1, policy="random", power=2)
    drawn = [rate(found, n, seed=5) for n in range(1, 2000)]
    assert drawn == [rate(found, n, seed=5) for n in range(1, 2000)]
    assert drawn[0] != rate(found, 1, seed=6)
    assert np.mean(np.sqrt(drawn)) == pytest.approx(0.5, abs=0.02)


def test_rates_that_grow_too_large_are_infinite_and_no_error():
    assert rate(options(policy="exp", gamma=1e30), 1000) == math.inf
    assert rate(options(policy="sigmoid", gamma=5, step=1), 100000) == 0
    assert rate(options(policy="sigmoid", gamma=1e38, step=1), 100000) == 0
    for policy in ({"burn_in": 1000}, {"policy": "random"}):
        assert rate(options(**policy, power=-1e6), 1) == math.inf
