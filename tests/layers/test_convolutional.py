"""[convolutional]: cross-correlation against loops."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from support import make_layer, random_array, random_parameters

from darknet_py.errors import CfgError
from darknet_py.layers import Parameter


def convolve(x, kernels, stride, padding, groups):
    """A sum of products at every place, with zeros beyond the edge."""
    n, channels, height, width = x.shape
    filters, per_group, size, _ = kernels.shape
    assert per_group == channels // groups
    out = [int((d + 2 * padding - size) / stride) + 1 for d in (height, width)]  # towards zero, as in C
    y = np.zeros((n, filters, *out))
    for image, f, row, column in np.ndindex(*y.shape):
        first = f // (filters // groups) * per_group
        for c, i, j in np.ndindex(per_group, size, size):
            sy, sx = row * stride + i - padding, column * stride + j - padding
            if 0 <= sy < height and 0 <= sx < width:
                y[image, f, row, column] += float(kernels[f, c, i, j]) * float(x[image, first + c, sy, sx])
    return y


def test_shape_listing_row_and_operations():
    layer = make_layer("convolutional", (3, 224, 320), filters=64, size=7, stride=2, pad=1)
    assert layer.shape == (64, 112, 160)
    assert layer.listing() == "Convolutional Layer: 224 x 320 x 3 image, 64 filters -> 112 x 160 x 64 image"
    assert layer.table_row() == "conv     64  7 x 7 / 2   320 x 224 x   3   ->   160 x 112 x  64  0.337 BFLOPs"
    assert layer.operations == 2 * 64 * 7 * 7 * 3 * 112 * 160
    assert layer.resizable


def test_operations_count_the_channels_of_one_group():
    assert make_layer("convolutional", (8, 5, 5), filters=12, size=3, groups=4).operations == 2 * 12 * 9 * 2 * 3 * 3


def test_defaults_are_one_filter_of_1x1_with_logistic():
    layer = make_layer("convolutional", (2, 3, 4))
    assert layer.shape == (1, 3, 4)
    zeros = {name: np.zeros(parameter.shape, np.float32) for name, parameter in layer.parameters.items()}
    assert (layer.forward([np.zeros((1, 2, 3, 4), np.float32)], zeros) == 0.5).all()


@pytest.mark.parametrize(
    ("options", "padding", "side"),
    [
        ({"size": 3}, 0, 8),
        ({"size": 3, "pad": 1}, 1, 10),
        ({"size": 4, "pad": 1}, 2, 11),
        ({"size": 3, "padding": 2}, 2, 12),
        ({"size": 3, "padding": 2, "pad": 1}, 1, 10),
        ({"size": 3, "stride": 4, "pad": 1}, 1, 3),
        ({"size": 10}, 0, 1),
        ({"size": 12, "stride": 3}, 0, 1),
    ],
)
def test_padding_and_size_of_the_output(options, padding, side):
    layer = make_layer("convolutional", (1, 10, 10), **options)
    assert layer.padding == padding
    assert layer.shape == (1, side, side)


@pytest.mark.parametrize("normalized", [0, 1])
def test_parameters_in_file_order(normalized):
    layer = make_layer("convolutional", (6, 4, 4), filters=9, size=2, groups=3, batch_normalize=normalized)
    statistics = ["scales", "means", "variances"] if normalized else []
    assert list(layer.parameters) == ["biases", *statistics, "weights"]
    assert layer.parameters["weights"] == Parameter((9, 2, 2, 2), "weight")
    assert layer.parameters["biases"] == Parameter((9,), "bias")


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 5, 7), {"filters": 3, "size": 3, "pad": 1}),
        ((3, 4, 6), {"filters": 2, "size": 1}),
        ((2, 7, 6), {"filters": 3, "size": 3, "stride": 2, "pad": 1}),
        ((1, 9, 8), {"filters": 2, "size": 4, "stride": 3, "padding": 1}),
        ((4, 5, 5), {"filters": 6, "size": 3, "pad": 1, "groups": 2}),
        ((4, 3, 3), {"filters": 4, "size": 3, "pad": 1, "groups": 4}),
        ((2, 1, 1), {"filters": 3, "size": 3, "pad": 1}),
        ((2, 3, 4), {"filters": 2, "size": 2, "padding": 3}),
    ],
)
@pytest.mark.parametrize("normalized", [0, 1])
def test_forward_equals_the_loops(shape, options, normalized):
    layer = make_layer("convolutional", shape, **options, batch_normalize=normalized, activation="leaky")
    (parameters,) = random_parameters([layer])
    x = random_array((2, *shape), 1)
    expected = convolve(x, parameters["weights"], layer.stride, layer.padding, layer.groups)
    for f in range(layer.filters):
        y = expected[:, f]
        if normalized:
            scale, mean, variance = (float(parameters[name][f]) for name in ("scales", "means", "variances"))
            y = scale * (y - mean) / (math.sqrt(variance) + 1e-6)
        y = y + float(parameters["biases"][f])
        expected[:, f] = np.where(y > 0, y, 0.1 * y)
    y = layer.forward([x], parameters)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, "filters=0: at least 1 is expected"),
        ({"stride": 0}, "stride=0: at least 1 is expected"),
        ({"size": -3}, "size=-3: at least 1 is expected"),
        ({"groups": 2, "filters": 2}, "groups=2: does not divide 3 channels"),
        ({"groups": 3, "filters": 4}, "groups=3: does not divide 4 channels"),
        ({"size": 5}, "size=5: larger than its input, 9 x 4 with padding 0"),
        ({"activation": "leakey"}, "activation=leakey: unknown; did you mean leaky?"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("convolutional", (3, 4, 9), **options)
