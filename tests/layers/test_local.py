"""[local]: weights of their own at each place, against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array, random_parameters

from darknet_py.errors import CfgError
from darknet_py.layers import Parameter


@pytest.mark.parametrize(
    ("options", "shape", "first"),
    [
        ({"size": 3}, (2, 3, 5), 0),
        ({"size": 3, "pad": 1}, (2, 5, 7), 1),
        ({"size": 2, "stride": 2}, (2, 2, 3), 0),
        ({"size": 3, "pad": 1, "stride": 2}, (2, 3, 4), 1),
        ({"size": 1}, (2, 5, 7), 0),
        ({"size": 5, "pad": 2}, (2, 5, 7), 2),
    ],
)
def test_forward_equals_the_loops(options, shape, first):
    layer = make_layer("local", (3, 5, 7), filters=2, activation="leaky", **options)
    (parameters,) = random_parameters([layer])
    x = random_array((2, 3, 5, 7))
    y = layer.forward([x], parameters)
    assert layer.shape == shape
    assert y.dtype == np.float32
    stride = options.get("stride", 1)
    padded = np.pad(x, ((0, 0), (0, 0), (first, first), (first, first)))
    for n, f, row, column in np.ndindex(*y.shape):
        top, left = row * stride, column * stride
        window = padded[n, :, top : top + layer.size, left : left + layer.size]
        total = (parameters["weights"][row * shape[2] + column, f] * window).sum() + parameters["biases"][
            f, row, column
        ]
        assert y[n, f, row, column] == pytest.approx(total if total > 0 else 0.1 * total, rel=1e-4, abs=1e-5)


def test_parameters_listing_and_defaults():
    layer = make_layer("local", (3, 5, 7), filters=2, size=3)
    assert layer.parameters == {
        "biases": Parameter((2, 3, 5), "bias"),
        "weights": Parameter((15, 2, 3, 3, 3), "weight", fan_in=27),
    }
    assert list(layer.parameters) == ["biases", "weights"]
    assert layer.listing() == layer.table_row() == "Local Layer: 5 x 7 x 3 image, 2 filters -> 3 x 5 x 2 image"
    assert layer.operations == 0
    assert layer.activation == "logistic"
    assert not layer.resizable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 6}, "size=6: larger than its input, 7 x 5"),
        ({"size": 5, "pad": 1}, "pad=1: darknet computes other places with a border of 1 than it counts; 2 and an odd"),
        ({"size": 2, "pad": 1}, "pad=1: darknet computes other places"),
        ({"filters": 0}, "filters=0: at least 1 is expected"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("local", (3, 5, 7), **options)
