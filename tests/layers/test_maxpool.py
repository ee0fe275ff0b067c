"""[maxpool]: maximum over windows, against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import make_layer, random_array

from darknet_py.errors import CfgError


def pool(x, size, stride, padding):
    """The largest cell of each window; the first starts at -(padding // 2)."""
    n, channels, height, width = x.shape
    out = [int((d + padding - size) / stride) + 1 for d in (height, width)]  # towards zero, as in C
    y = np.full((n, channels, *out), -np.inf, np.float32)
    for image, c, row, column in np.ndindex(*y.shape):
        for i, j in np.ndindex(size, size):
            sy, sx = row * stride + i - padding // 2, column * stride + j - padding // 2
            if 0 <= sy < height and 0 <= sx < width:
                y[image, c, row, column] = max(y[image, c, row, column], x[image, c, sy, sx])
    return y


def test_shape_listing_and_row():
    layer = make_layer("maxpool", (64, 112, 160), size=2, stride=2)
    assert layer.shape == (64, 56, 80)
    assert layer.listing() == "Maxpool Layer: 112 x 160 x 64 image, 2 size, 2 stride"
    assert layer.table_row() == "max          2 x 2 / 2   160 x 112 x  64   ->    80 x  56 x  64"
    assert layer.operations == 0
    assert layer.resizable


@pytest.mark.parametrize(
    ("options", "size", "padding", "side"),
    [
        ({}, 1, 0, 9),
        ({"stride": 2}, 2, 1, 5),
        ({"size": 3, "stride": 2}, 3, 2, 5),
        ({"size": 3, "stride": 2, "padding": 0}, 3, 0, 4),
        ({"size": 2, "stride": 1}, 2, 1, 9),
        ({"size": 5, "stride": 1, "padding": 8}, 5, 8, 13),
        ({"size": 11, "stride": 3, "padding": 0}, 11, 0, 1),
    ],
)
def test_defaults_and_size_of_the_output(options, size, padding, side):
    layer = make_layer("maxpool", (1, 9, 9), **options)
    assert (layer.size, layer.padding, layer.shape) == (size, padding, (1, side, side))


@given(st.data())
def test_forward_equals_the_loops(data):
    height, width, size, stride = (data.draw(st.integers(1, most)) for most in (8, 8, 4, 4))
    least = max(size - min(height, width) - stride + 1, 0)  # a window may be so much larger than its input
    padding = data.draw(st.integers(least, max(least, 2 * size - 2)))
    layer = make_layer("maxpool", (2, height, width), size=size, stride=stride, padding=padding)
    x = random_array((2, 2, height, width)) - 5  # all negative: zeros round the picture would show
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, pool(x, size, stride, padding))


def test_what_is_not_a_number_stays_so():
    x = np.zeros((1, 1, 2, 6), np.float32)
    x[..., 0, 2] = np.nan
    layer = make_layer("maxpool", (1, 2, 6), size=2, stride=2)
    np.testing.assert_array_equal(layer.forward([x], {}), [[[[0, np.nan, 0]]]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size=0: at least 1 is expected"),
        ({"stride": 0}, "stride=0: at least 1 is expected"),
        ({"size": 2, "padding": 3}, "padding=3: a window of 2 would lie wholly outside the picture"),
        ({"size": 5, "padding": 0}, "size=5: larger than its input, 9 x 4 with padding 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("maxpool", (3, 4, 9), **options)


def test_the_delta_goes_to_the_first_largest_cell_row_by_row():
    layer = make_layer("maxpool", (1, 2, 4), size=2, stride=2)
    x = np.float32([[[[3, 1, 0, 5], [3, 3, 5, 5]]]])
    gradients = layer.backward(np.float32([[[[7, 2]]]]), layer.train([x], {}, {})[1], {})
    assert gradients.inputs[0].tolist() == [[[[7, 0, 0, 2], [0, 0, 0, 0]]]]


def test_windows_that_share_their_largest_cell_add_there():
    layer = make_layer("maxpool", (1, 3, 3), size=2, stride=1, padding=0)
    x = np.float32([[[[0, 0, 0], [0, 9, 0], [0, 0, 0]]]])
    gradients = layer.backward(np.float32([[[[1, 2], [3, 4]]]]), layer.train([x], {}, {})[1], {})
    assert gradients.inputs[0].tolist() == [[[[0, 0, 0], [0, 10, 0], [0, 0, 0]]]]
