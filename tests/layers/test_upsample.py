"""[upsample]: every cell several times, or sums of several."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import make_layer, random_array

from darknet_py.errors import CfgError


def test_shapes_and_listing():
    layer = make_layer("upsample", (2, 3, 4))
    assert layer.shape == (2, 6, 8)
    assert layer.listing() == layer.table_row() == "upsample            2x     4 x   3 x   2   ->     8 x   6 x   2"
    layer = make_layer("upsample", (2, 6, 4), stride=-2)
    assert layer.shape == (2, 3, 2)
    assert layer.listing() == "downsample          2x     4 x   6 x   2   ->     2 x   3 x   2"
    assert layer.operations == 0
    assert not layer.resizable


def test_forward_repeats_and_scales():
    x = random_array((2, 3, 4, 5))
    y = make_layer("upsample", (3, 4, 5), stride=2, scale=0.5).forward([x], {})
    assert y.dtype == np.float32
    assert y.shape == (2, 3, 8, 10)
    for n, c, row, column in np.ndindex(*y.shape):
        assert y[n, c, row, column] == np.float32(0.5) * x[n, c, row // 2, column // 2]


def test_a_stride_below_0_sums_blocks():
    x = random_array((2, 3, 6, 9))
    y = make_layer("upsample", (3, 6, 9), stride=-3, scale=0.5).forward([x], {})
    assert y.shape == (2, 3, 2, 3)
    for n, c, row, column in np.ndindex(*y.shape):
        block = x[n, c, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert y[n, c, row, column] == pytest.approx(0.5 * block.sum(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("stride", "message"),
    [(0, "stride=0: at least 1, or at most -1, is expected"), (-2, "stride=-2: its blocks do not cover 3 x 4 cells")],
)
def test_wrong_strides_are_refused(stride, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("upsample", (1, 4, 3), stride=stride)
