"""[dropout]: passes its input on."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def test_shape_listing_row_and_forward():
    layer = make_layer("dropout", (4096, 1, 1))
    assert layer.shape == (4096, 1, 1)
    assert layer.listing() == "Dropout Layer: 4096 inputs, 0.500000 probability"
    assert layer.table_row() == "dropout       p = 0.50               4096  ->  4096"
    assert layer.operations == 0
    x = random_array((2, 4096, 1, 1))
    assert (layer.forward([x], {}) == x).all()


def test_probability_is_read():
    assert make_layer("dropout", (1, 2, 2), probability=0.25).listing().endswith("0.250000 probability")


def test_training_zeroes_what_was_drawn_below_the_probability_and_scales_the_rest():
    layer = make_layer("dropout", (2, 1, 2), probability=0.2)
    x = random_array((1, 2, 1, 2))
    y, _ = layer.train([x], {}, {"uniform": np.float32([0.19, 0.2, 0.9, 0]).reshape(x.shape)})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x * np.float32([0, 1.25, 1.25, 0]).reshape(x.shape), rtol=1e-6)


def test_training_draws_a_number_for_each_value():
    layer = make_layer("dropout", (30, 20, 10), probability=0.2)
    drawn = layer.draw(2, np.random.default_rng(0))["uniform"]
    assert drawn.dtype == np.float32
    assert drawn.shape == (2, 30, 20, 10)
    y, _ = layer.train([np.ones_like(drawn)], {}, {"uniform": drawn})
    assert (y == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert y.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("probability", [-0.5, 1, 2])
def test_a_probability_that_leaves_nothing_is_refused_in_training(probability):
    layer = make_layer("dropout", (1, 2, 2), probability=probability)
    with pytest.raises(CfgError, match=rf"\[dropout\]: cannot be trained: probability={probability}; from 0"):
        layer.check_trainable()
