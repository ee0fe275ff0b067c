"""[shortcut]: the input plus an earlier output, against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def make_shortcut(source, other, **options):
    """A shortcut, layer 2, that adds layer 0 of shape `other` to layer 1 of shape `source`."""
    return make_layer("shortcut", (1, 1, 1), other, source, **{"from": 0, **options})


def add(x, other, alpha, beta):
    """As darknet's shortcut_cpu: where one is n times larger, every n-th of its cells takes part."""
    stride, sample = max(other.shape[3] // x.shape[3], 1), max(x.shape[3] // other.shape[3], 1)
    channels, height, width = (min(a, b) for a, b in zip(x.shape[1:], other.shape[1:], strict=True))
    y = x.astype(np.float64)
    for n, c, row, column in np.ndindex(len(x), channels, height, width):
        cell = n, c, row * sample, column * sample
        y[cell] = alpha * y[cell] + beta * float(other[n, c, row * stride, column * stride])
    return y


@pytest.mark.parametrize("option", [0, -2])
def test_counts_from_the_start_or_back_from_itself(option):
    layer = make_shortcut((4, 5, 6), (8, 10, 12), **{"from": option})
    assert layer.inputs == (1, 0)
    assert layer.shape == (4, 5, 6)
    assert layer.listing() == "Shortcut Layer: 0"
    assert layer.table_row() == "res    0                  12 x  10 x   8   ->     6 x   5 x   4"
    assert layer.operations == 0


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ((3, 4, 5), (3, 4, 5)),
        ((3, 4, 5), (2, 4, 5)),
        ((2, 4, 5), (5, 4, 5)),
        ((3, 2, 3), (2, 4, 6)),
        ((2, 2, 2), (2, 5, 5)),
        ((2, 6, 4), (3, 3, 2)),
        ((2, 5, 5), (2, 4, 4)),
    ],
    ids=["same", "fewer channels", "more channels", "twice as large", "twice and a bit", "half", "a cell less"],
)
@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (0.5, -2)])
def test_forward_equals_the_loops(source, other, alpha, beta):
    layer = make_shortcut(source, other, alpha=alpha, beta=beta, activation="leaky")
    x, y = random_array((2, *source), 1), random_array((2, *other), 2)
    kept = x.copy(), y.copy()
    result = layer.forward([x, y], {})
    assert result.dtype == np.float32
    expected = add(x, y, alpha, beta)
    np.testing.assert_allclose(result, np.where(expected > 0, expected, 0.1 * expected), rtol=1e-6, atol=1e-6)
    assert (x == kept[0]).all()
    assert (y == kept[1]).all()


def test_default_activation_is_linear():
    layer = make_shortcut((1, 1, 1), (1, 1, 1))
    x = np.full((1, 1, 1, 1), -3, np.float32)
    assert layer.forward([x, x], {}).item() == -6


def test_resizable_only_where_both_have_one_resolution():
    assert make_shortcut((3, 4, 4), (5, 4, 4)).resizable
    assert not make_shortcut((3, 4, 4), (3, 8, 8)).resizable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from": 2}, "from=2: 2: only 2 layers come before this one"),
        ({"from": -3}, "from=-3: -3: only 2 layers come before this one"),
        ({"from": "x"}, "from=x: not a number"),
        ({"alpha": "inf"}, "alpha=inf: a finite number is expected"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_shortcut((3, 4, 4), (3, 4, 4), **options)


def test_resolutions_that_differ_by_unequal_factors_are_refused():
    with pytest.raises(CfgError, match="4 x 4 and 4 x 8 differ by unequal factors"):
        make_shortcut((3, 4, 4), (3, 8, 4))


def test_what_to_add_must_be_named_and_come_before():
    with pytest.raises(CfgError, match="from= is missing"):
        make_layer("shortcut", (3, 4, 4), (3, 4, 4))
    with pytest.raises(CfgError, match="no layer comes before this one"):
        make_layer("shortcut", (3, 4, 4), **{"from": -1})
