"""Activation functions against their formulas, at the points where these change and far out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from darknet_py.layers.activations import ACTIVATIONS, Formula, activate, differentiate, keep


def stair(x):
    n = math.floor(x)
    return math.floor(x / 2) if n % 2 == 0 else (x - n) + math.floor(x / 2)


FORMULAS = {
    "linear": lambda x: x,
    "leaky": lambda x: 0.1 * x if x < 0 else x,
    "relu": lambda x: x if x > 0 else 0,
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507 * (x if x >= 0 else 1.6732 * (math.exp(x) - 1)),
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "ramp": lambda x: (x if x > 0 else 0) + 0.1 * x,
    "tanh": math.tanh,
    "plse": lambda x: 0.01 * (x + 4) if x < -4 else 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5,
    "lhtan": lambda x: 0.001 * x if x < 0 else 0.001 * (x - 1) + 1 if x > 1 else x,
    "hardtan": lambda x: min(max(x, -1), 1),
    "stair": stair,
    "relu6": lambda x: min(max(x, 0), 6),
    "revleaky": lambda x: 0.1 * x if x < 0 else x,
    "swish": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "hard_mish": lambda x: x if x > 0 else x * x / 2 + x if x > -2 else 0,
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(0.797885 * x + 0.035677 * x**3)),
}


def share(x, y):
    return [value / (1e-4 + sum(y)) for value in y]


# Of the channels of a cell.
CHANNEL_FORMULAS = {
    "normalize_channels": lambda x: share(x, [max(value, 0) for value in x]),
    "normalize_channels_softmax": lambda x: share(x, [math.exp(value) for value in x]),
    "normalize_channels_softmax_maxval": lambda x: share(x, [math.exp(value - max(x)) for value in x]),
}
EDGES = (-4, -2, -1, 0, 1, 2, 3, 4, 6)
POINTS = np.float32(
    [*EDGES, *(edge + side for edge in EDGES for side in (-1e-3, 1e-3)), -80, -7.25, -2.5, -0.5, 0.5, 2.5, 7.25, 80]
)


def test_every_activation_is_held_to_a_formula():
    assert ACTIVATIONS.keys() == FORMULAS.keys() | CHANNEL_FORMULAS.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_activation_follows_its_formula(name):
    expected = [FORMULAS[name](float(x)) for x in POINTS]
    np.testing.assert_allclose(activate(name, POINTS), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CHANNEL_FORMULAS)
@pytest.mark.parametrize("shape", [(20, 7), (4, 7, 5, 1), (5, 7, 2, 2)], ids=str)
def test_what_looks_at_all_channels_of_a_cell_follows_its_formula(name, shape):
    x = np.random.default_rng(0).normal(-3, 5, shape).astype(np.float32)
    x[0] = -30  # whose exponentials vanish beside what is added
    y = activate(name, x)
    cells, expected = np.moveaxis(x, 1, -1).reshape(-1, 7), np.moveaxis(y, 1, -1).reshape(-1, 7)
    np.testing.assert_allclose(expected, [CHANNEL_FORMULAS[name](cell) for cell in cells.tolist()], rtol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_keeps_type_and_shape_and_stands_huge_values(name):
    x = np.float32([[-1e30, 1e30, -1000], [-200, 200, 1000]])
    y = activate(name, x)
    assert y.dtype == np.float32
    assert y.shape == x.shape
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("logistic", 0, 1), ("loggy", -1, 1), ("tanh", -1, 1), ("hardtan", -1, 1), ("elu", -1, 1000), ("relu", 0, 1000),
     ("relu6", 0, 6), ("swish", 0, 1000), ("mish", 0, 1000), ("hard_mish", 0, 1000), ("gelu", 0, 1000)],
)  # fmt: skip
def test_activation_reaches_its_limits(name, low, high):
    assert activate(name, np.float32([-1000, 1000])).tolist() == [low, high]


@pytest.mark.parametrize("name", FORMULAS)
def test_derivative_is_what_the_formula_rises_by(name):
    """Everywhere except where it bends or jumps."""
    x = np.array([value for value in np.linspace(-8.03, 8.03, 301) if abs(value - round(value)) > 1e-3])
    delta = np.linspace(-2, 2, len(x))
    rises = [(FORMULAS[name](value + 1e-5) - FORMULAS[name](value - 1e-5)) / 2e-5 for value in x.tolist()]
    derived = differentiate(name, keep(name, x, activate(name, x)), delta)
    np.testing.assert_allclose(derived, delta * rises, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "points", "derivatives"),
    [
        ("leaky", [0], [0.1]),
        ("relu", [0], [0]),
        ("relie", [0], [0.01]),
        ("ramp", [0], [0.1]),
        ("elu", [0], [1]),
        ("selu", [0], [1.0507]),
        ("hardtan", [-1, 1], [0, 0]),
        ("lhtan", [0, 1], [0.001, 0.001]),
        ("plse", [-4, 4], [0.125, 0.125]),
        ("stair", [0, 1, 2], [0, 0, 0]),
        ("relu6", [0, 6], [0, 0]),
        ("revleaky", [0], [0.1]),
        ("hard_mish", [-2, 0], [0, 1]),
    ],
)
def test_where_it_bends_the_derivative_is_that_of_darknets_side(name, points, derivatives):
    x = np.float32(points)
    derived = differentiate(name, keep(name, x, activate(name, x)), np.ones_like(x))
    assert derived.dtype == np.float32
    np.testing.assert_allclose(derived, derivatives, rtol=1e-6)


def test_what_needs_its_input_for_its_derivative_gets_it(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "wave", Formula(np.sin, np.cos, of="input"))
    x = np.linspace(-3, 3, 7)
    kept = keep("wave", x, activate("wave", x))
    np.testing.assert_array_equal(differentiate("wave", kept, 2 * np.ones(7)), 2 * np.cos(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_huge_values_have_a_derivative(name):
    x = np.float32([[-1e30, 1e30, -1000, 5], [-200, 200, 1000, 0]])
    derived = differentiate(name, keep(name, x, activate(name, x)), np.ones_like(x))
    assert derived.dtype == np.float32
    assert np.isfinite(derived).all()


def test_an_activation_without_a_derivative_is_none():
    with pytest.raises(TypeError, match="derivative"):
        Formula(np.sin)
