"""[batchnorm]: normalization by the statistics of training."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import make_layer, random_array, random_parameters

from darknet_py.layers import Parameter


def test_shape_listing_and_parameters_in_file_order():
    layer = make_layer("batchnorm", (4, 5, 6))
    assert layer.shape == (4, 5, 6)
    assert layer.listing() == layer.table_row() == "Batch Normalization Layer: 6 x 5 x 4 image"
    assert list(layer.parameters.items()) == [
        ("biases", Parameter((4,), "bias", optional=True)),
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
        bias, scale, mean, variance = (float(parameters[name][c]) for name in layer.parameters)
        expected[n, c, row, column] = scale * (x[n, c, row, column] - mean) / (math.sqrt(variance) + 1e-6) + bias
    y = layer.forward([x], parameters)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_the_small_number_is_added_to_the_deviation_not_to_the_variance():
    layer = make_layer("batchnorm", (1, 1, 1))
    parameters = {"biases": np.float32([0]), "scales": np.float32([2]), "means": np.float32([1])}
    parameters["variances"] = np.float32([0])
    np.testing.assert_allclose(layer.forward([np.float32([[[[4]]]])], parameters), [[[[2 * 3 / 1e-6]]]], rtol=1e-6)


def test_training_normalizes_by_the_mini_batch_and_saves_its_statistics():
    """The variance is that of N - 1 values."""
    layer = make_layer("batchnorm", (2, 3, 2))
    (parameters,) = random_parameters([layer])
    x = random_array((4, 2, 3, 2))
    y, saved = layer.train([x], parameters, {})
    for c in range(2):
        values = x[:, c].ravel().tolist()
        mean = sum(values) / 24
        variance = sum((value - mean) ** 2 for value in values) / 23
        assert saved["means"][c] == pytest.approx(mean, abs=1e-6)
        assert saved["variances"][c] == pytest.approx(variance, rel=1e-5)
    expected = layer.forward([x], {**parameters, "means": saved["means"], "variances": saved["variances"]})
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)


def test_the_gradient_is_darknets_hand_written_one():
    layer = make_layer("batchnorm", (1, 2, 2))
    (parameters,) = random_parameters([layer])
    x, delta = random_array((2, 1, 2, 2)), random_array((2, 1, 2, 2), 1)
    _, saved = layer.train([x], parameters, {})
    mean, variance, scale = (float(a[0]) for a in (saved["means"], saved["variances"], parameters["scales"]))
    g, centred = [scale * value for value in delta.ravel().tolist()], [value - mean for value in x.ravel().tolist()]
    r = 1 / math.sqrt(variance + 1e-5)
    variance_delta = -0.5 * r**3 * sum(a * b for a, b in zip(g, centred, strict=True))
    mean_delta = -r * sum(g)
    expected = [a * r + 2 * variance_delta * b / 8 + mean_delta / 8 for a, b in zip(g, centred, strict=True)]
    np.testing.assert_allclose(layer.backward(delta, saved, parameters).inputs[0].ravel(), expected, atol=1e-6)
