"""[batchnorm]: normalization by the statistics of training."""

from __future__ import annotations

import math

import numpy as np
from support import make_layer, random_array, random_parameters

from darknet_py.layers import Parameter


def test_shape_listing_and_parameters_in_file_order():
    layer = make_layer("batchnorm", (4, 5, 6))
    assert layer.shape == (4, 5, 6)
    assert layer.listing() == layer.table_row() == "Batch Normalization Layer: 6 x 5 x 4 image"
    assert list(layer.parameters.items()) == [
        ("scales", Parameter((4,), "scale")),
        ("means", Parameter((4,), "statistic")),
        ("variances", Parameter((4,), "statistic", positive=True)),
    ]
    assert layer.operations == 0


def test_forward_normalizes_each_channel():
    layer = make_layer("batchnorm", (3, 2, 4))
    (parameters,) = random_parameters([layer])
    x = random_array((2, 3, 2, 4))
    expected = np.empty(x.shape)
    for n, c, row, column in np.ndindex(*x.shape):
        scale, mean, variance = (float(parameters[name][c]) for name in ("scales", "means", "variances"))
        expected[n, c, row, column] = scale * (x[n, c, row, column] - mean) / (math.sqrt(variance) + 1e-6)
    y = layer.forward([x], parameters)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_the_small_number_is_added_to_the_deviation_not_to_the_variance():
    layer = make_layer("batchnorm", (1, 1, 1))
    parameters = {"scales": np.float32([2]), "means": np.float32([1]), "variances": np.float32([0])}
    np.testing.assert_allclose(layer.forward([np.float32([[[[4]]]])], parameters), [[[[2 * 3 / 1e-6]]]], rtol=1e-6)
