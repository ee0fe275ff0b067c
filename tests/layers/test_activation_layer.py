"""[activation]: an activation as a layer."""

from __future__ import annotations

import numpy as np
from support import make_layer


def test_shape_listing_and_forward():
    layer = make_layer("activation", (2, 1, 3), activation="leaky")
    assert layer.shape == (2, 1, 3)
    assert layer.listing() == layer.table_row() == "Activation Layer: 6 inputs"
    assert layer.operations == 0
    assert layer.parameters == {}
    x = np.float32([-10, -1, 0, 1, 2, 3]).reshape(1, 2, 1, 3)
    np.testing.assert_allclose(layer.forward([x], {}).ravel(), [-1, -0.1, 0, 1, 2, 3])


def test_default_is_linear():
    x = np.float32([[[[-3]]]])
    assert make_layer("activation", (1, 1, 1)).forward([x], {}) == x
