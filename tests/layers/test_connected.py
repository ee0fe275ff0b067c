"""[connected]: a matrix times the flattened input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import make_layer, random_array, random_parameters

from darknet_py.errors import CfgError
from darknet_py.layers import Parameter


def test_shape_listing_row_and_operations():
    layer = make_layer("connected", (256, 6, 6), output=4096, activation="relu")
    assert layer.shape == (4096, 1, 1)
    assert layer.listing() == "Connected Layer: 9216 inputs, 4096 outputs"
    assert layer.table_row() == "connected                            9216  ->  4096"
    assert layer.operations == 2 * 9216 * 4096
    assert not layer.resizable


def test_defaults_are_one_output_and_logistic():
    layer = make_layer("connected", (2, 1, 1))
    zeros = {name: np.zeros(parameter.shape, np.float32) for name, parameter in layer.parameters.items()}
    assert layer.forward([np.zeros((1, 2, 1, 1), np.float32)], zeros).tolist() == [[[[0.5]]]]


@pytest.mark.parametrize("normalized", [0, 1])
def test_parameters_in_file_order(normalized):
    layer = make_layer("connected", (2, 3, 4), output=5, batch_normalize=normalized)
    names = ["biases", "weights", "scales", "means", "variances"]
    assert list(layer.parameters) == names[: 5 if normalized else 2]
    assert layer.parameters["weights"] == Parameter((5, 24), "weight")


@pytest.mark.parametrize("normalized", [0, 1])
def test_forward_sums_over_channel_row_and_column(normalized):
    layer = make_layer("connected", (2, 3, 4), output=5, batch_normalize=normalized, activation="leaky")
    (parameters,) = random_parameters([layer])
    x = random_array((2, 2, 3, 4))
    expected = np.empty((2, 5, 1, 1))
    for n, o in np.ndindex(2, 5):
        y = 0.0
        for c, row, column in np.ndindex(2, 3, 4):
            y += float(parameters["weights"][o, (c * 3 + row) * 4 + column]) * float(x[n, c, row, column])
        if normalized:
            scale, mean, variance = (float(parameters[name][o]) for name in ("scales", "means", "variances"))
            y = scale * (y - mean) / (math.sqrt(variance) + 1e-6)
        y += float(parameters["biases"][o])
        expected[n, o] = y if y > 0 else 0.1 * y
    y = layer.forward([x], parameters)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"output": 0}, "output=0: at least 1 is expected"), ({"activation": "leakey"}, "did you mean leaky?")],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=message.replace("?", r"\?")):
        make_layer("connected", (2, 3, 4), **options)
