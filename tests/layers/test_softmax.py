"""[softmax]: values to probabilities, against the formula."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def test_shape_listing_and_row():
    layer = make_layer("softmax", (1000, 1, 1))
    assert layer.shape == (1000, 1, 1)
    assert layer.listing() == "Softmax Layer: 1000 inputs"
    assert layer.table_row() == "softmax                                        1000"
    assert layer.operations == 0


@pytest.mark.parametrize("groups", [1, 2, 3, 12])
@pytest.mark.parametrize("temperature", [1, 0.5, 3])
def test_forward_equals_the_formula_in_each_group(groups, temperature):
    layer = make_layer("softmax", (3, 2, 2), groups=groups, temperature=temperature)
    x = 3 * random_array((2, 3, 2, 2))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    assert y.shape == x.shape
    for given, answered in zip(x.reshape(2 * groups, -1), y.reshape(2 * groups, -1), strict=True):
        powers = [math.exp(value / temperature) for value in given.tolist()]
        np.testing.assert_allclose(answered, [power / sum(powers) for power in powers], rtol=1e-5)


def test_huge_values_do_not_overflow():
    y = make_layer("softmax", (3, 1, 1)).forward([np.float32([1e4, 1e4, -1e4]).reshape(1, 3, 1, 1)], {})
    assert y.ravel().tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 5}, "groups=5: does not divide 12 inputs"),
        ({"groups": 0}, "groups=0: at least 1 is expected"),
        ({"temperature": 0}, "temperature=0: more than 0 is expected"),
        ({"tree": "no/such.tree"}, "tree=no/such.tree: no such file, nor one beside the cfg"),
        ({"spatial": 1}, "spatial=1: not supported"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("softmax", (3, 2, 2), **options)


def test_the_loss_sums_minus_the_logarithm_of_what_is_true_whatever_its_weight():
    layer = make_layer("softmax", (3, 1, 1))
    x, truths = random_array((2, 3, 1, 1)), np.float32([[0, 1, 0], [0.5, 0, 0.25]])
    p = layer.forward([x], {})
    loss, delta = layer.measure([x], p, truths)
    assert loss == pytest.approx(-np.log(p[0, 1, 0, 0]) - np.log(p[1, 0, 0, 0]) - np.log(p[1, 2, 0, 0]), rel=1e-6)
    assert delta.dtype == np.float32
    np.testing.assert_array_equal(delta, truths.reshape(p.shape) - p)


def test_the_loss_is_finite_where_a_probability_is_too_small_for_float32():
    layer = make_layer("softmax", (2, 1, 1))
    x = np.float32([[[[500]], [[-500]]]])
    p = layer.forward([x], {})
    assert p.ravel().tolist() == [1, 0]
    assert layer.measure([x], p, np.float32([[0, 1]]))[0] == 1000


@pytest.mark.parametrize(("options", "measures"), [({}, True), ({"noloss": 0}, True), ({"noloss": 1}, False)])
def test_it_measures_unless_told_not_to(options, measures):
    assert make_layer("softmax", (2, 1, 1), **options).measures is measures
