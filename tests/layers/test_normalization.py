"""[normalization], [lrn]: across channels, against darknet's loop."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer, random_array


def normalize(x, alpha, beta, kappa, size):
    """As darknet's forward_normalization_layer: what enters the running sum is added, what leaves it is subtracted."""
    squares, channels = x.astype(float) ** 2, x.shape[1]
    total = kappa + alpha * squares[:, : size // 2].sum(axis=1)
    y = [x[:, 0] * total**-beta]
    for k in range(1, channels):
        previous, following = k - (size - 1) // 2 - 1, k + size // 2
        if previous >= 0:
            total = total - alpha * squares[:, previous]
        if following < channels:
            total = total + alpha * squares[:, following]
        y.append(x[:, k] * total**-beta)
    return np.stack(y, axis=1)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_forward_equals_the_loop(channels, size):
    layer = make_layer("lrn", (channels, 3, 4), alpha=0.02, beta=0.6, kappa=2, size=size)
    x = random_array((2, channels, 3, 4))
    y = layer.forward([x], {})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, normalize(x, 0.02, 0.6, 2, size), rtol=1e-5, atol=1e-6)


def test_a_sum_below_0_is_not_a_number():
    layer = make_layer("normalization", (8, 1, 1), alpha=1, kappa=0.1)
    x = np.zeros((1, 8, 1, 1), np.float32)
    x[0, 2] = 3
    assert np.isnan(layer.forward([x + np.float32(0.5)], {})).any()


def test_defaults_and_listing():
    layer = make_layer("normalization", (8, 28, 36))
    assert (layer.alpha, layer.beta, layer.kappa, layer.size) == (0.0001, 0.75, 1, 5)
    expected = "Local Response Normalization Layer: 36 x 28 x 8 image, 5 size"
    assert layer.listing() == layer.table_row() == expected
    assert layer.operations == 0
