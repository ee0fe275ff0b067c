"""[maxpool] and [local_avgpool]: strides, channels instead of windows, antialiasing, means; against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def pool(x, size, strides, padding, join):
    """The result of `join` for each window, of its cells within the picture."""
    n, channels, height, width = x.shape
    out = [int((d + padding - size) / s) + 1 for d, s in zip((height, width), strides, strict=True)]
    y = np.zeros((n, channels, *out))
    for image, c, row, column in np.ndindex(*y.shape):
        cells = []
        for i, j in np.ndindex(size, size):
            sy, sx = row * strides[0] + i - padding // 2, column * strides[1] + j - padding // 2
            if 0 <= sy < height and 0 <= sx < width:
                cells.append(x[image, c, sy, sx])
        y[image, c, row, column] = join(cells)
    return y


@pytest.mark.parametrize(("kind", "join"), [("maxpool", np.max), ("local_avgpool", np.mean)])
@pytest.mark.parametrize(
    ("options", "strides", "padding"),
    [
        ({"size": 3, "stride": 2}, (2, 2), 2),
        ({"size": 2, "stride": 2, "padding": 0}, (2, 2), 0),
        ({"size": 3, "stride_x": 2}, (1, 2), 2),
        ({"size": 2, "stride": 2, "stride_y": 3}, (3, 2), 1),
        ({"size": 4, "stride": 3, "padding": 5}, (3, 3), 5),
    ],
)
def test_windows_equal_the_loops(kind, join, options, strides, padding):
    layer, x = make_layer(kind, (2, 7, 8), **options), random_array((2, 2, 7, 8))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    assert y.shape[1:] == layer.shape
    np.testing.assert_allclose(y, pool(x, options["size"], strides, padding, join), rtol=1e-6, atol=1e-6)


def test_listing_of_the_mean():
    layer = make_layer("local_avgpool", (8, 28, 36), size=3, stride=2)
    expected = "avg                3x 3/ 2     36 x  28 x   8 ->   18 x  14 x   8"
    assert layer.listing() == layer.table_row() == expected
    assert make_layer("local_avg", (8, 28, 36), size=3, stride_x=2).listing().startswith("avg                3x 3/2x1")
    assert layer.operations == 0


@pytest.mark.parametrize(("channels", "out"), [(8, 4), (7, 3), (5, 5), (4, 1)])
def test_depth_takes_the_largest_of_every_so_many_th_channel(channels, out):
    layer = make_layer("maxpool", (channels, 3, 4), maxpool_depth=1, out_channels=out, size=2, stride=2)
    x = random_array((2, channels, 3, 4))
    y = layer.forward([x], {})
    assert layer.shape == (out, 3, 4)
    for channel in range(out):
        assert (y[:, channel] == x[:, channel::out].max(axis=1)).all()


def test_out_channels_mean_nothing_without_depth():
    layer = make_layer("maxpool", (4, 4, 4), out_channels=3)
    assert layer.shape == (4, 4, 4)
    assert not layer.special


def test_antialiasing_blurs_what_stride_1_gives():
    layer, sharp = (make_layer("maxpool", (2, 6, 7), size=2, **o) for o in ({"antialiasing": 2, "stride": 2}, {}))
    x = random_array((1, 2, 6, 7))
    y, before = layer.forward([x], {}), sharp.forward([x], {})
    assert layer.shape == (2, 3, 3)
    for c, row, column in np.ndindex(2, 3, 3):
        cells = before[0, c, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert y[0, c, row, column] == pytest.approx(cells.mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("maxpool", {"maxpool_depth": 1, "out_channels": 4}, "out_channels=4: at most 3 is expected"),
        ("maxpool", {"maxpool_depth": 1, "antialiasing": 1}, "antialiasing=1: not supported with maxpool_depth"),
        ("maxpool", {"maxpool_zero_nonmax": 1}, "maxpool_zero_nonmax=1: not supported, and it changes the answer"),
        ("maxpool", {"stride_y": 0}, "stride_y=0: at least 1 is expected"),
        ("maxpool", {"antialiasing": 2, "size": 5, "padding": 0}, "antialiasing=2: 1 x 1 cells are left to blur"),
        ("local_avgpool", {"size": 7, "padding": 0}, "size=7: larger than its input, 5 x 5 with padding 0"),
        ("local_avgpool", {"size": 2, "padding": 3}, "padding=3: a window of 2 would lie wholly outside the picture"),
    ],
)
def test_wrong_options_are_refused(kind, options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer(kind, (3, 5, 5), **options)
