"""[crop]: the middle of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def test_shape_listing_and_row():
    layer = make_layer("crop", (3, 256, 300), crop_height=224, crop_width=200)
    assert layer.shape == (3, 224, 200)
    assert layer.listing() == layer.table_row() == "Crop Layer: 256 x 300 -> 224 x 200 x 3 image"
    assert layer.operations == 0
    assert not layer.resizable


@pytest.mark.parametrize(
    ("crop", "top", "left"), [((4, 5), 0, 0), ((3, 3), 0, 1), ((2, 2), 1, 1), ((1, 4), 1, 0)], ids=str
)
@pytest.mark.parametrize("noadjust", [0, 1])
def test_forward_takes_the_middle_and_maps_it_to_minus_one_to_one(crop, top, left, noadjust):
    height, width = crop
    layer = make_layer("crop", (2, 4, 5), crop_height=height, crop_width=width, noadjust=noadjust)
    x = random_array((2, 2, 4, 5))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    assert y.shape == (2, 2, height, width)
    for n, c, row, column in np.ndindex(*y.shape):
        value = x[n, c, row + top, column + left]
        assert y[n, c, row, column] == (value if noadjust else 2 * value - 1)


@pytest.mark.parametrize("options", [{"crop_height": 5}, {"crop_width": 6}])
def test_more_than_there_is_is_refused(options):
    with pytest.raises(CfgError, match="larger than its input, 5 x 4"):
        make_layer("crop", (1, 4, 5), **options)


@pytest.mark.parametrize("flip", [0, 1])
def test_training_draws_one_place_and_with_flip_one_side_for_the_whole_mini_batch(flip):
    layer = make_layer("crop", (1, 5, 4), crop_height=3, crop_width=3, flip=flip)
    random = np.random.default_rng(0)
    drawn = {tuple(int(number) for number in layer.draw(9, random).values()) for _ in range(300)}
    assert drawn == {(side, top, left) for side in range(1 + flip) for top in range(3) for left in range(2)}


@pytest.mark.parametrize("noadjust", [0, 1])
def test_training_takes_what_was_drawn(noadjust):
    """A flipped column is that many from the right."""
    layer = make_layer("crop", (2, 5, 6), crop_height=3, crop_width=4, flip=1, noadjust=noadjust)
    x = random_array((2, 2, 5, 6))
    for flip, top, left in np.ndindex(2, 3, 3):
        drawn = {"flip": np.float32(flip), "top": np.float32(top), "left": np.float32(left)}
        y, _ = layer.train([x], {}, drawn)
        assert y.dtype == np.float32
        for row, column in np.ndindex(3, 4):
            cell = x[:, :, top + row, 6 - left - column - 1 if flip else left + column]
            np.testing.assert_array_equal(y[:, :, row, column], cell if noadjust else 2 * cell - 1)
