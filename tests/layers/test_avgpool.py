"""[avgpool]: the mean of each plane."""

from __future__ import annotations

import numpy as np
from support import make_layer, random_array


def test_shape_listing_and_row():
    layer = make_layer("avgpool", (1000, 7, 9))
    assert layer.shape == (1000, 1, 1)
    assert layer.listing() == "Avgpool Layer: 9 x 7 x 1000 image"
    assert layer.table_row() == "avg                        9 x   7 x1000   ->  1000"
    assert layer.operations == 0
    assert layer.resizable


def test_forward_is_the_mean_of_each_plane():
    x = random_array((2, 3, 5, 4))
    y = make_layer("avgpool", (3, 5, 4)).forward([x], {})
    assert y.dtype == np.float32
    expected = [[[[sum(plane.ravel().tolist()) / 20]] for plane in picture] for picture in x]
    np.testing.assert_allclose(y, expected, atol=1e-6)
