"""The CPU's compiled activations against those of NumPy, in double precision where they are smooth."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network, run_engine

from darknet_py.engines.cpu import table as t
from darknet_py.engines.passes import SLOPES
from darknet_py.layers.activations import ACTIVATIONS, Formula

# Of either sign: all orders of magnitude of float32, 0 to 110 evenly, some bends and jumps, and random numbers.
ANY = np.random.default_rng(1).uniform(0, 110, 100_000)
MAGNITUDES = np.concatenate([np.geomspace(1e-38, 1e38, 40_001), np.linspace(0, 110, 40_001), [0.35, 1, 4], ANY])
VALUES = np.concatenate([MAGNITUDES, -MAGNITUDES]).astype(np.float32)


def bend(activation, values):
    network = make_network((1, 1, len(values)), ("activation", {"activation": activation}))
    return run_engine("cpu", network.layers, [{}], values.reshape(1, 1, 1, -1)).ravel()


def define(activation, values):
    with np.errstate(all="ignore"):
        return ACTIVATIONS[activation].function(values)


POINTWISE = [name for name, formula in ACTIVATIONS.items() if isinstance(formula, Formula)]


def test_all_activations_of_one_value_are_compiled():
    assert {*SLOPES, *t.CURVES} == set(POINTWISE)


@pytest.mark.parametrize(
    ("activation", "least"),
    [*((name, -np.inf) for name in ("tanh", "logistic", "elu", "selu", "swish", "mish")), ("gelu", -5)],
)
def test_exponentials_are_right_to_two_millionths(activation, least):
    """And what rounding their input makes. Of logistic and elu the far negative side is e**x and e**x - 1.

    That of gelu is e**(x**3): further out the exponent's own rounding is more.
    """
    values = VALUES[(np.abs(VALUES) > 1e-37) & (least < VALUES)]
    values = values[(values > -87) | (np.abs(values) > 110)]
    expected = define(activation, values.astype(np.float64))
    with np.errstate(over="ignore"):
        expected[np.abs(expected) < np.finfo(np.float32).tiny] = 0
    error = np.abs(bend(activation, values) - expected)
    assert (error <= (2e-6 + 2**-24 * np.abs(values)) * np.abs(expected)).all()


@pytest.mark.parametrize("activation", POINTWISE)
def test_all_values_come_out_as_defined(activation):
    expected = define(activation, VALUES)
    np.testing.assert_allclose(bend(activation, VALUES), expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize(("activation", "least"), [("swish", -0.0), ("mish", -0.0), ("gelu", -0.0), ("hard_mish", 0.0)])
def test_nothing_is_left_far_below_zero(activation, least):
    values = np.float32([-110, -1000, -1e30])
    answers = bend(activation, values)
    np.testing.assert_array_equal(answers, 0)
    assert (np.signbit(answers) == np.signbit(np.float32(least))).all()


@pytest.mark.parametrize("activation", POINTWISE)
def test_infinities_and_what_is_no_number(activation):
    values = np.float32([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(bend(activation, values), define(activation, values))
