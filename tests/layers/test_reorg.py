"""[reorg] and [reorg3d]: cells to channels, against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def places(shape, stride):
    """For each place of the input-shaped index space, the flat place that darknet's reorg_cpu reads."""
    channels, height, width = shape
    few = channels // stride**2
    for k, j, i in np.ndindex(channels, height, width):
        offset = k // few
        column, row = i * stride + offset % stride, j * stride + offset // stride
        yield i + width * (j + height * k), column + width * stride * (row + height * stride * (k % few))


@pytest.mark.parametrize("shape", [(4, 4, 6), (8, 2, 2), (12, 6, 4)])
def test_reorg_and_its_reverse_equal_the_loops(shape):
    layer = make_layer("reorg", shape, stride=2)
    x = random_array((1, *shape))
    y = layer.forward([x], {})
    assert y.shape == (1, 4 * shape[0], shape[1] // 2, shape[2] // 2)
    for own, other in places(shape, 2):
        assert y.ravel()[own] == x.ravel()[other]
    back = make_layer("reorg", shape, stride=2, reverse=1)
    y = back.forward([x], {})
    assert y.shape == (1, shape[0] // 4, 2 * shape[1], 2 * shape[2])
    for own, other in places(shape, 2):
        assert y.ravel()[other] == x.ravel()[own]


def test_reorg3d_equals_the_loops():
    x = random_array((2, 3, 4, 6))
    y = make_layer("reorg3d", (3, 4, 6), stride=2).forward([x], {})
    assert y.shape == (2, 12, 2, 3)
    for n, c, row, column, dy, dx in np.ndindex(2, 3, 2, 3, 2, 2):
        assert y[n, (2 * dy + dx) * 3 + c, row, column] == x[n, c, 2 * row + dy, 2 * column + dx]
    back = make_layer("reorg3d", (12, 2, 3), stride=2, reverse=1)
    assert (back.forward([y], {}) == x).all()


def test_a_batch_is_that_of_its_pictures():
    x = random_array((3, 8, 4, 4))
    for options in ({}, {"reverse": 1}):
        layer = make_layer("reorg", (8, 4, 4), stride=2, **options)
        assert (layer.forward([x], {}) == np.concatenate([layer.forward([image[None]], {}) for image in x])).all()


def test_listing():
    layer = make_layer("reorg", (64, 26, 28), stride=2)
    expected = "reorg              / 2    28 x  26 x  64   ->    14 x  13 x 256"
    assert layer.listing() == layer.table_row() == expected
    assert make_layer("reorg3d", (64, 26, 28), stride=2).listing() == expected.replace("reorg  ", "reorg3d")
    assert layer.operations == 0
    assert not layer.resizable


@pytest.mark.parametrize(
    ("kind", "shape", "options", "message"),
    [
        ("reorg", (3, 4, 4), {"stride": 2}, "stride=2: its square does not divide 3 channels"),
        ("reorg", (4, 4, 5), {"stride": 2}, "stride=2: does not divide 5 x 4 cells"),
        ("reorg3d", (3, 4, 5), {"stride": 2}, "stride=2: does not divide 5 x 4 cells"),
        ("reorg3d", (3, 4, 4), {"stride": 2, "reverse": 1}, "stride=2: its square does not divide 3 channels"),
        ("reorg", (4, 4, 4), {"flatten": 1}, "flatten=1: not supported, and it changes the answer"),
        ("reorg", (4, 4, 4), {"extra": 5}, "extra=5: not supported, and it changes the answer"),
    ],
)
def test_wrong_options_are_refused(kind, shape, options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer(kind, shape, **options)
