"""Batch normalization as factors and sums equals the layer's definition, also where a mean is far above the rest."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine
from support_networks import CANCELLING, cancelling_parameters

from darknet_py.engines.folding import fold
from darknet_py.layers import DIALECTS

ONE = np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("convolutional", {"filters": 3, "activation": "linear"}), ("connected", {"output": 4, "activation": "linear"})],
)
@pytest.mark.parametrize("normalized", [0, 1])
def test_folded_factors_and_biases_give_what_the_layer_defines(kind, options, normalized):
    (layer,) = make_network((2, 1, 1), (kind, {**options, "batch_normalize": normalized})).layers
    (parameters,) = random_parameters([layer])
    factor, bias, after = fold(layer, parameters)
    assert factor.dtype == bias.dtype == np.float32
    assert after is None
    x = random_array((1, 2, 1, 1))
    expected = layer.forward([x], parameters).ravel()
    weight = parameters["weights"].reshape(-1, 2)
    np.testing.assert_allclose(factor * (weight @ x.ravel()) + bias, expected, rtol=1e-5, atol=1e-6)


def test_normalization_by_no_variance_leaves_the_bias():
    """At each of these the sum, the mean and their shares in a folded bias are alike but for the rounding."""
    parameters, batch = cancelling_parameters(), random_array((2, 3, 4, 4))
    expected = run_engine("reference", CANCELLING.layers, parameters, batch)
    assert_close(run_engine("cpu", CANCELLING.layers, parameters, batch), expected, 5e-5)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_small_variances_fold_as_the_dialect_says(dialect):
    (layer,) = make_network((2, 1, 1), ("batchnorm", {}), dialect=dialect).layers
    parameters = {**random_parameters([layer]).views[0], "means": 0 * ONE, "variances": np.float32([1e-9, 1e-5])}
    factor, bias, after = fold(layer, parameters)
    assert after is None
    x = random_array((1, 2, 1, 1))
    np.testing.assert_allclose(factor * x.ravel() + bias, layer.forward([x], parameters).ravel(), rtol=1e-4)


@pytest.mark.parametrize(("mean", "apart"), [(200, False), (300, True)])
def test_a_mean_far_above_the_outputs_is_subtracted_apart(mean, apart):
    (layer,) = make_network((2, 1, 1), ("batchnorm", {})).layers
    means = np.float32([1, mean])
    factor, bias, after = fold(layer, {"biases": 0 * ONE, "scales": ONE, "means": means, "variances": ONE})
    assert (after is not None) == apart
    if apart:
        np.testing.assert_allclose(factor, 1, rtol=1e-5)
        np.testing.assert_allclose(bias, -means, rtol=1e-5)
        np.testing.assert_allclose(after, [[1, 1], [0, 0]], rtol=1e-5)


def test_products_that_cancel_do_not_overflow_before():
    network = make_network(
        (3, 2, 2),
        ("convolutional", {"filters": 2, "activation": "linear"}),
        ("convolutional", {"filters": 4, "batch_normalize": 1, "activation": "tanh"}),
    )
    first, second = random_parameters(network.layers).views
    first["weights"][...], first["biases"][...] = 1e18, 0
    second["weights"][:, 0], second["weights"][:, 1] = -1e-6, 1.0001e-6
    second["scales"][...], second["variances"][...], second["means"][...], second["biases"][...] = 1e38, 1e19, 0, 0
    batch = np.full((1, 3, 2, 2), 0.5, np.float32)
    for engine in ("reference", "cpu"):
        assert (run_engine(engine, network.layers, [first, second], batch) == 1).all()
