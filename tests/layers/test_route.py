"""[route]: earlier outputs along the channels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError

# The network's input, then layers 0, 1, 2: the route is layer 3.
SHAPES = ((9, 9, 9), (2, 4, 5), (3, 4, 5), (1, 2, 2))


@pytest.mark.parametrize(
    ("layers", "inputs", "channels"),
    [("0", (0,), 2), ("1,0", (1, 0), 5), ("-2,-3", (1, 0), 5), ("0,-2,0", (0, 1, 0), 7)],
)
def test_counts_from_the_start_or_back_from_itself(layers, inputs, channels):
    layer = make_layer("route", *SHAPES, layers=layers)
    assert layer.inputs == inputs
    assert layer.shape == (channels, 4, 5)
    assert layer.listing() == "Route Layer: " + " ".join(map(str, inputs))
    assert layer.table_row() == "route  " + " ".join(map(str, inputs))
    assert layer.operations == 0


def test_forward_joins_the_channels_in_the_order_named():
    layer = make_layer("route", *SHAPES, layers="1,0")
    first, second = random_array((2, 3, 4, 5), 1), random_array((2, 2, 4, 5), 2)
    y = layer.forward([first, second], {})
    assert y.dtype == np.float32
    for n, c in np.ndindex(2, 5):
        assert (y[n, c] == (first[n, c] if c < 3 else second[n, c - 3])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "layers= is missing"),
        ({"layers": ","}, "layers= is missing"),
        ({"layers": "3"}, "layers=3: 3: only 3 layers come before this one"),
        ({"layers": "-4"}, "layers=-4: -4: only 3 layers come before this one"),
        ({"layers": "1,x"}, "layers=1,x: not a number"),
        ({"layers": "0,2"}, "layer 0 is 5 x 4, layer 2 is 2 x 2; they must agree"),
        ({"layers": "0,1", "groups": 2}, "groups=2: does not divide the 3 channels of layer 1"),
        ({"layers": "0", "groups": 2, "group_id": 2}, "group_id=2: below groups=2 is expected"),
        ({"layers": "0", "group_id": 1}, "group_id=1: below groups=1 is expected"),
        ({"layers": "0", "groups": 0}, "groups=0: at least 1 is expected"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("route", *SHAPES, **options)


def test_first_layer_has_nothing_to_join():
    with pytest.raises(CfgError, match="no layer comes before this one"):
        make_layer("route", (3, 4, 4), layers="-1")


@pytest.mark.parametrize(("layers", "group"), [("0", 0), ("0,3,0", 1), ("3", 1)])
def test_a_part_of_each(layers, group):
    layer = make_layer("route", *SHAPES, (4, 4, 5), layers=layers, groups=2, group_id=group)
    inputs = [random_array((2, *shape), seed) for seed, shape in enumerate(layer.input_shapes)]
    y = layer.forward(inputs, {})
    half = [x.shape[1] // 2 for x in inputs]
    parts = [x[:, group * n : (group + 1) * n] for x, n in zip(inputs, half, strict=True)]
    assert layer.shape == (sum(half), 4, 5)
    assert (y == np.concatenate(parts, axis=1)).all()
    assert layer.special == "groups=2"
    assert not layer.idle
    assert not layer.concatenates
    assert layer.listing() == f"Route Layer: {' '.join(map(str, layer.inputs))}   {group}/2"
