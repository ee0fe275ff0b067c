"""[shortcut]: sums of several outputs, and weights; against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError
from darknet_py.layers import Parameter

SHAPES = (1, 1, 1), (3, 4, 5), (5, 4, 5), (2, 4, 5), (4, 4, 5)  # of the input and layers 0 to 3
NAMED = "0,1,-2"  # of layer 4: layers 0, 1, 2


def make_shortcut(**options):
    return make_layer("shortcut", *SHAPES, **{"from": NAMED, **options})


def inputs_of(layer):
    return [random_array((2, *shape), seed) for seed, shape in enumerate(layer.input_shapes)]


def test_several_outputs_are_added_over_the_channels_that_are_there():
    layer = make_shortcut(activation="leaky")
    assert layer.inputs == (3, 0, 1, 2)
    assert layer.shape == (4, 4, 5)
    assert layer.listing() == "Shortcut Layer: 0, 1, 2"
    assert layer.table_row().startswith("res    0   1   2   ")
    assert layer.parameters == {}
    x = inputs_of(layer)
    expected = x[0].astype(float)
    for other in x[1:]:
        channels = min(4, other.shape[1])
        expected[:, :channels] += other[:, :channels]
    y = layer.forward(x, {})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, np.where(expected > 0, expected, 0.1 * expected), rtol=1e-5, atol=1e-6)
    assert (x[0] == random_array((2, 4, 4, 5))).all()


@pytest.mark.parametrize("normalization", ["relu", "avg_relu", "softmax"])
@pytest.mark.parametrize("kind", ["per_feature", "per_layer", "per_channel"])
def test_weights_equal_the_loops(kind, normalization):
    layer = make_shortcut(weights_type=kind, weights_normalization=normalization)
    columns = 4 if kind == "per_channel" else 1
    assert layer.parameters == {"weights": Parameter((4, columns), "weight", fan_in=0)}
    weights, x = random_array((4, columns), 9), inputs_of(layer)
    y = layer.forward(x, {"weights": weights})
    for n, c, row, column in np.ndindex(*y.shape):
        own = weights[:, c % columns].astype(float)
        positive = np.exp(own - own.max()) if normalization == "softmax" else np.maximum(own, 0)
        factors = positive / (1e-4 + positive.sum())
        total = sum(f * float(a[n, c, row, column]) for f, a in zip(factors, x, strict=True) if c < a.shape[1])
        assert y[n, c, row, column] == pytest.approx(total, rel=1e-5, abs=1e-6)


def test_one_other_may_have_weights_too():
    layer = make_layer(
        "shortcut",
        (1, 1, 1),
        (3, 2, 2),
        (3, 2, 2),
        **{"from": 0},
        weights_type="per_layer",
        weights_normalization="relu",
    )
    assert layer.parameter_count == 2
    assert layer.special == "weights_type=per_layer"
    assert not layer.adds


def test_without_weights_their_normalization_means_nothing():
    layer = make_layer("shortcut", (1, 1, 1), (3, 2, 2), (3, 2, 2), **{"from": 0}, weights_normalization="relu")
    assert layer.adds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights_type": "per_pixel"}, "weights_type=per_pixel: unknown; did you mean per_"),
        ({"weights_type": "per_layer"}, "weights_type=per_layer: weights_normalization= is missing; relu or softmax"),
        ({"alpha": 2}, "alpha=2: 1 is expected with weights or several layers"),
        ({"beta": 0.5}, "beta=0.5: 1 is expected with weights or several layers"),
        ({"from": "0,9"}, "from=0,9: 9: only 4 layers come before this one"),
        ({"from": ","}, "from= is missing"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_shortcut(**options)


def test_several_of_two_resolutions_are_refused():
    reason = "layer 0 is 8 x 8, the input 4 x 4; with weights or several layers they must agree"
    with pytest.raises(CfgError, match=reason):
        make_layer("shortcut", (1, 1, 1), (3, 8, 8), (3, 4, 4), **{"from": "0,1"})
