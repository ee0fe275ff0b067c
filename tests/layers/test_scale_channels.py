"""[scale_channels] and [sam]: one output times another."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, make_network, random_array

from darknet_py.errors import CfgError

# The network's input, then layers 0 and 1: the layer is number 2, and 1 the one before it.
CHANNELS = ((9, 9, 9), (3, 4, 5), (3, 1, 1))
CELLS = ((9, 9, 9), (3, 4, 5), (1, 4, 5))
EQUAL = ((9, 9, 9), (3, 4, 5), (3, 4, 5))


def leaky(x):
    return np.where(x > 0, x, np.float32(0.1) * x)


@pytest.mark.parametrize("option", [0, -2])
def test_shapes_and_listing(option):
    for kind, shapes, options in (("scale_channels", CHANNELS, {}), ("sam", EQUAL, {})):
        layer = make_layer(kind, *shapes, **{"from": option}, **options)
        assert layer.inputs == (1, 0)
        assert layer.shape == (3, 4, 5)
        assert layer.listing() == layer.table_row() == "scale Layer: 0"
        assert layer.operations == 0


def test_factors_of_channels():
    layer = make_layer("scale_channels", *CHANNELS, **{"from": 0}, activation="leaky")
    factors, x = random_array((2, 3, 1, 1), 1), random_array((2, 3, 4, 5))
    y = layer.forward([factors, x], {})
    assert y.dtype == np.float32
    for n, c in np.ndindex(2, 3):
        np.testing.assert_allclose(y[n, c], leaky(factors[n, c, 0, 0] * x[n, c]), rtol=1e-6)


def test_factors_of_cells():
    layer = make_layer("scale_channels", *CELLS, **{"from": 0, "scale_wh": 1})
    factors, x = random_array((2, 1, 4, 5), 1), random_array((2, 3, 4, 5))
    y = layer.forward([factors, x], {})
    for n, c in np.ndindex(2, 3):
        assert (y[n, c] == factors[n, 0] * x[n, c]).all()


def test_sam_multiplies_value_by_value():
    layer = make_layer("sam", *EQUAL, **{"from": 0}, activation="leaky")
    x, other = random_array((2, 3, 4, 5), 1), random_array((2, 3, 4, 5))
    np.testing.assert_allclose(layer.forward([x, other], {}), leaky(x * other), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "shapes", "options", "message"),
    [
        ("scale_channels", CHANNELS, {}, "from= is missing: the layer to multiply"),
        ("scale_channels", CHANNELS, {"from": 2}, "from=2: 2: only 2 layers come before this one"),
        ("scale_channels", CELLS, {"from": 0}, "factors of 3 x 1 x 1 are expected before this layer, not 1 x 4 x 5"),
        ("scale_channels", CHANNELS, {"from": 0, "scale_wh": 1}, "factors of 1 x 4 x 5 are expected"),
        ("sam", EQUAL, {}, "from= is missing: the layer to multiply"),
        ("sam", CHANNELS, {"from": 0}, "3 x 1 x 1 and 3 x 4 x 5 are multiplied; equal shapes are expected"),
        ("sam", ((3, 4, 5),), {"from": -1}, "from=-1: no layer comes before this one"),
    ],
)
def test_wrong_options_are_refused(kind, shapes, options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer(kind, *shapes, **options)


def squeezed(factors):
    convolution = {"filters": 4, "size": 3, "pad": 1}
    return make_network(
        (3, 8, 8),
        ("convolutional", convolution),
        *factors,
        ("convolutional", {"filters": 4}),
        ("scale_channels", {"from": 0}),
        ("avgpool", {}),
    )


def test_a_network_with_factors_of_all_of_a_picture_can_be_resized():
    network = squeezed([("avgpool", {})])
    assert network.resizable
    network.resize(11, 9)
    assert network.layers[-2].shape == (4, 11, 9)


def test_one_whose_factors_would_grow_cannot():
    assert not squeezed([("maxpool", {"size": 8, "stride": 8})]).resizable
