"""[dropout]: passes its input on."""

from __future__ import annotations

from support import make_layer, random_array


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
