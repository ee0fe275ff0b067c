"""Learning rates: those that the C program printed, and those of the fork's policies."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import cfg_text
from support_training import cases, recorded

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError, TrainingError
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


def test_sgdr_of_cycles_that_stay_as_long_is_found_at_once():
    found = options(learning_rate=1, policy="sgdr", sgdr_cycle=3, sgdr_mult=1.3, max_batches=2**31 - 1)
    assert [rate(found, 3 * 10**8 + n) for n in (1, 2, 3)] == [rate(found, n) for n in (1, 2, 3)]


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


def test_a_sigmoid_far_from_its_step_is_0():
    assert rate(options(policy="sigmoid", gamma=5, step=1), 100000) == 0
    assert rate(options(policy="sigmoid", gamma=1e38, step=1), 100000) == 0


WRONG = [  # keys, the one that is named, the rate and its iteration
    ({"policy": "steps", "steps": "3", "scales": "-1"}, "scales=-1", "-0.1", 3),
    ({"policy": "steps", "steps": "3,5,7", "scales": "1e38,1e38,0"}, "scales=1e38,1e38,0", "inf", 5),
    ({"policy": "exp", "gamma": -2}, "gamma=-2", "-0.2", 1),
    ({"policy": "exp", "gamma": -2, "burn_in": 2}, "gamma=-2", "-0.8", 3),
    ({"policy": "exp", "gamma": 1e30}, "gamma=1e+30", "inf", 2),
    ({"policy": "exp", "gamma": 1e30, "learning_rate": 0}, "gamma=1e+30", "nan", 11),
    ({"policy": "step", "step": 2, "scale": 1e30}, "scale=1e+30", "inf", 11),
    ({"policy": "poly", "power": -1}, "power=-1", "inf", 12),
    ({"policy": "random", "power": -1}, "power=-1", "inf", 1),
    ({"burn_in": 12, "power": -100}, "power=-100", "inf", 1),
    ({"burn_in": 24, "power": -30}, "power=-30", "inf", 1),
]


@pytest.mark.parametrize(("keys", "named", "value", "n"), WRONG)
def test_a_rate_that_is_not_finite_or_below_0_is_refused_at_its_key(keys, named, value, n):
    keys = {"learning_rate": 0.1, "max_batches": 12, **keys}
    reason = f"a learning rate of {value} at iteration {n}; a finite one of at least 0 is expected"
    with pytest.raises(CfgError, match=rf"^x\.cfg:\d+: \[net\] {re.escape(named)}: {re.escape(reason)}$"):
        options(**keys)


def test_what_is_made_by_hand_is_refused_at_its_iteration():
    wrong = replace(options(policy="steps", steps="3", scales="1"), scales=(-1.0,))
    assert rate(wrong, 2) == pytest.approx(0.001)
    with pytest.raises(TrainingError, match=r"^scales=\(-1\.0,\): a learning rate of -0\.001 at iteration 3; "):
        rate(wrong, 3)


POLICIES = st.sampled_from(["constant", "step", "steps", "exp", "poly", "random", "sigmoid", "sgdr", "cosine"])
NUMBERS = st.sampled_from([-300, -2, -1, 0, 0.5, 1, 2, 1e5, 1e30, 1e38])


@given(POLICIES, st.integers(0, 12), st.integers(1, 10), *[NUMBERS] * 4, st.lists(st.integers(0, 12), min_size=1))
def test_what_is_not_refused_has_rates_in_all_iterations(policy, burn_in, step, power, gamma, scale, first, steps):
    try:
        found = options(
            learning_rate=max(first, 0), max_batches=10, policy=policy, burn_in=burn_in, power=power, step=step,
            scale=max(scale, 0), gamma=gamma, steps=",".join(map(str, sorted(steps))),
            scales=",".join([f"{scale}"] * len(steps)), sgdr_cycle=step,
        )  # fmt: skip
    except CfgError:
        return
    for n in range(1, 11):
        assert 0 <= rate(found, n, seed=n) < math.inf
