"""[cost]: passes its input on."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer, random_array


def test_shape_listing_row_and_forward():
    layer = make_layer("cost", (1000, 1, 1), type="sse", scale=2)
    assert layer.shape == (1000, 1, 1)
    assert layer.listing() == "Cost Layer: 1000 inputs"
    assert layer.table_row() == "cost                                           1000"
    assert layer.operations == 0
    x = random_array((2, 1000, 1, 1))
    assert (layer.forward([x], {}) == x).all()


CELLS = np.float32([0.5, -3, 0, 1.5]).reshape(1, 4, 1, 1)
TRUTHS = np.float32([[1, 0, 0, -1234]])


@pytest.mark.parametrize(
    ("kind", "losses", "deltas"),
    [
        ("sse", [0.25, 9, 0], [0.5, 3, 0]),
        ("seg", [0.25, 9, 0], [0.5, 3, 0]),
        ("wgan", [0.25, 9, 0], [0.5, 3, 0]),
        ("masked", [0.25, 9, 0], [0.5, 3, 0]),
        ("L1", [0.5, 3, 0], [1, 1, -1]),
        ("smooth", [0.25, 5, 0], [0.5, 1, 0]),
    ],
)
@pytest.mark.parametrize("scale", [1, 2])
def test_losses_and_deltas(kind, losses, deltas, scale):
    """The scale is of the delta alone, and L1's has a sign where nothing is wrong."""
    layer = make_layer("cost", (3, 1, 1), type=kind, scale=scale)
    loss, delta = layer.measure([CELLS[:, :3]], CELLS[:, :3], TRUTHS[:, :3])
    assert loss == pytest.approx(sum(losses))
    assert delta.dtype == np.float32
    np.testing.assert_allclose(delta.ravel(), np.multiply(scale, deltas))


def test_of_masked_costs_cells_without_a_truth_do_not_count():
    loss, delta = make_layer("cost", (4, 1, 1), type="masked").measure([CELLS], CELLS, TRUTHS)
    assert loss == pytest.approx(9.25)
    assert delta.ravel().tolist() == [0.5, 3, 0, 0]


def test_the_default_is_the_sum_of_squares():
    assert make_layer("cost", (4, 1, 1)).type == "sse"
