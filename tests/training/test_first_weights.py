"""First weights: of the magnitudes that darknet draws, from a seed, each layer's independent of the others."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network

from darknet_py.parameters import Parameters
from darknet_py.training.first_weights import set_first

CONVOLUTION = ("convolutional", {"filters": 64, "size": 3, "pad": 1, "groups": 2, "batch_normalize": 1})
NETWORK = make_network((4, 8, 8), CONVOLUTION, ("connected", {"output": 50}), ("batchnorm", {}), ("softmax", {}))


def first(network=NETWORK, seed=0, start=0):
    parameters = Parameters(network.layers, np.full(network.parameter_count, 9, np.float32))
    set_first(parameters, seed, start)
    return parameters


def test_weights_are_normal_in_convolutions_and_uniform_in_connected_layers():
    convolution, connected = (first().views[index]["weights"] for index in (0, 1))
    assert convolution.std() == pytest.approx(np.sqrt(2 / (9 * 2)), rel=0.05)
    assert np.abs(convolution).max() > 2.5 * np.sqrt(2 / 18)
    limit = np.sqrt(2 / (64 * 64))
    assert limit * 0.99 < np.abs(connected).max() <= limit
    assert connected.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert abs(connected.mean()) < limit / 100


def test_weights_of_each_place_of_a_local_layer_are_as_large_as_a_connected_layers():
    network = make_network((4, 8, 8), ("local", {"filters": 40, "size": 3}), ("connected", {"output": 3}))
    weights, limit = first(network).views[0]["weights"], np.sqrt(2 / (9 * 4))
    assert limit * 0.99 < np.abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("kind", ["per_feature", "per_channel"])
def test_a_shortcut_shares_its_weights_out_alike(kind):
    shortcut = ("shortcut", {"from": "-2", "weights_type": kind, "weights_normalization": "relu"})
    network = make_network((4, 8, 8), CONVOLUTION, CONVOLUTION, shortcut, ("softmax", {}))
    assert (first(network).views[2]["weights"] == 1).all()


def test_scales_and_variances_are_1_and_all_else_0():
    for entry in first().entries:
        if entry.parameter.role != "weight":
            expected = entry.name in ("scales", "variances")
            assert (entry.find(first().values) == expected).all(), entry.label


def test_they_follow_from_the_seed_and_the_layers_place_alone():
    other = make_network((4, 8, 8), ("convolutional", {"filters": 64, "size": 1}), ("connected", {"output": 50}))
    np.testing.assert_array_equal(first().values, first().values)
    np.testing.assert_array_equal(first().views[1]["weights"], first(other).views[1]["weights"])
    assert not np.array_equal(first().views[1]["weights"], first(seed=1).views[1]["weights"])


def test_layers_before_the_first_one_stay():
    found = first(start=1)
    assert (found.first(1).values == 9).all()
    np.testing.assert_array_equal(found.views[1]["weights"], first().views[1]["weights"])
