"""Gradients of layers and options beyond the usual ones, by central differences."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer
from support_gradients import check_gradients, difference, double_parameters, random_doubles


def check(kind, *shapes, inputs=None, **options):
    """Check a layer's gradients; `shapes` are those before it."""
    layer = make_layer(kind, *shapes, **options)
    arrays = [random_doubles((2, *shape), seed) for seed, shape in enumerate(layer.input_shapes)]
    check_gradients(layer, arrays, double_parameters(layer))


@pytest.mark.parametrize(
    "options",
    [
        {"stride_x": 2},
        {"stride_y": 3, "groups": 2},
        {"dilation": 2},
        {"dilation": 3, "stride": 2},
        {"antialiasing": 1, "stride": 2},
        {"antialiasing": 2, "stride_x": 2},
    ],
    ids=str,
)
def test_convolutional(options):
    check("convolutional", (2, 6, 7), filters=4, size=3, pad=1, activation="tanh", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 2, "stride_x": 2},
        {"size": 3, "stride_y": 2},
        {"size": 2, "stride": 2, "antialiasing": 1},
        {"size": 3, "stride": 2, "antialiasing": 2},
        {"maxpool_depth": 1, "out_channels": 2},
        {"maxpool_depth": 1, "out_channels": 3},
    ],
    ids=str,
)
def test_maxpool(options):
    check("maxpool", (4, 5, 6), **options)


@pytest.mark.parametrize(
    "options", [{"size": 3, "stride": 2}, {"size": 2, "stride_x": 2}, {"size": 4, "padding": 5}], ids=str
)
def test_local_avgpool(options):
    check("local_avgpool", (2, 5, 6), **options)


@pytest.mark.parametrize("group", [0, 1])
def test_route(group):
    check("route", (1, 3, 2), (4, 3, 2), (2, 3, 2), layers="1,0,1", groups=2, group_id=group)


SHAPES = (1, 1, 1), (3, 2, 3), (5, 2, 3), (4, 2, 3)


def test_shortcut_of_several():
    check("shortcut", *SHAPES, **{"from": "0,1,0"}, activation="tanh")


@pytest.mark.parametrize("normalization", ["relu", "softmax"])
@pytest.mark.parametrize("kind", ["per_feature", "per_channel"])
def test_shortcut_with_weights(kind, normalization):
    options = {"from": "0,1", "weights_type": kind, "weights_normalization": normalization}
    check("shortcut", *SHAPES, **options, activation="tanh")


def test_products():
    check("scale_channels", (1, 1, 1), (3, 2, 4), (3, 1, 1), **{"from": 0}, activation="tanh")
    check("scale_channels", (1, 1, 1), (3, 2, 4), (1, 2, 4), **{"from": 0}, scale_wh=1)
    check("sam", (1, 1, 1), (3, 2, 4), (3, 2, 4), **{"from": 0}, activation="tanh")


@pytest.mark.parametrize("stride", [3, -2])
def test_upsample(stride):
    check("upsample", (2, 4, 2), stride=stride, scale=0.5)


@pytest.mark.parametrize("kind", ["reorg", "reorg3d"])
@pytest.mark.parametrize("reverse", [0, 1])
def test_reorg(kind, reverse):
    check(kind, (8, 4, 2), stride=2, reverse=reverse)


@pytest.mark.parametrize("options", [{"size": 3, "pad": 1}, {"size": 2, "stride": 2}], ids=str)
def test_local(options):
    check("local", (2, 4, 5), filters=3, activation="tanh", **options)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_normalization(size):
    check("normalization", (6, 2, 3), alpha=0.03, size=size)


def test_empty():
    check("empty", (2, 3, 2))


def test_the_loss_of_logistic_falls_along_its_delta():
    layer = make_layer("logistic", (5, 1, 2))
    x, truths = random_doubles((3, 5, 1, 2)), np.abs(random_doubles((3, 10), 1)) % 1
    _, delta = layer.measure([x], layer.forward([x], {}), truths)
    fall = difference(lambda: layer.measure([x], layer.forward([x], {}), truths)[0], x)
    np.testing.assert_allclose(delta, -fall, atol=1e-7)
    gradients = layer.backward(delta, layer.train([x], {}, {})[1], {})
    assert (gradients.inputs[0] == delta).all()


@pytest.mark.parametrize(
    ("kind", "options"), [("softmax", {}), ("softmax", dict(groups=5, temperature=2)), ("logistic", {})]
)
def test_what_is_not_the_last_has_a_gradient_of_its_own(kind, options):
    """In training, darknet passes on the delta of what is behind it, whatever that is."""
    layer = make_layer(kind, (5, 1, 2), **options)
    layer.inner = True
    check_gradients(layer, [random_doubles((3, 5, 1, 2))], {})
