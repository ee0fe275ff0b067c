"""[logistic] and [empty]."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer, make_network, random_array

from darknet_py.layers.training import measuring


def test_logistic_is_that_of_each_value():
    layer, x = make_layer("logistic", (3, 2, 2)), random_array((2, 3, 2, 2))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x.astype(float))), rtol=1e-6)
    assert layer.listing() == layer.table_row() == "logistic x entropy                               12"
    assert layer.operations == 0


def test_the_loss_is_the_cross_entropy_of_each_value():
    layer, x = make_layer("logistic", (3, 1, 1)), np.float32([[2, -1, 90], [0.5, -200, 0]]).reshape(2, 3, 1, 1)
    truths = np.float32([[1, 0, 1], [0, 0, 1]])
    loss, delta = layer.measure([x], layer.forward([x], {}), truths)
    p = 1 / (1 + np.exp(-x.astype(float).reshape(2, 3)))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -np.where(truths > 0, np.log(p), np.log1p(-p))
    assert loss == pytest.approx(terms.sum(), rel=1e-5)
    np.testing.assert_allclose(delta.reshape(2, 3), truths - p, atol=1e-6)
    network = make_network((3, 1, 1), ("logistic", {}), ("cost", {}))
    assert [layer.kind for layer in measuring(network.layers)] == ["logistic"]


@pytest.mark.parametrize("name", ["empty", "silence"])
def test_empty_passes_its_input_on(name):
    layer, x = make_layer(name, (3, 2, 2)), random_array((2, 3, 2, 2))
    assert (layer.forward([x], {}) == x).all()
    assert (layer.shape, layer.idle) == ((3, 2, 2), True)
    assert layer.listing() == layer.table_row() == "empty"
