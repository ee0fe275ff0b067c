"""[cost]: passes its input on."""

from __future__ import annotations

from support import make_layer, random_array


def test_shape_listing_row_and_forward():
    layer = make_layer("cost", (1000, 1, 1), type="sse", scale=2)
    assert layer.shape == (1000, 1, 1)
    assert layer.listing() == "Cost Layer: 1000 inputs"
    assert layer.table_row() == "cost                                           1000"
    assert layer.operations == 0
    x = random_array((2, 1000, 1, 1))
    assert (layer.forward([x], {}) == x).all()
