"""Weights in the micro-kernel's order."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.engines.cpu.algorithms.weights import round_to_bfloat16


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (1.0, 1.0),
        (1 + 2**-7, 1 + 2**-7),  # the next number of bfloat16
        (1 + 2**-8, 1.0),  # halfway: to the even one
        (1 + 3 * 2**-8, 1 + 2**-6),
        (1 + 2**-8 + 2**-20, 1 + 2**-7),
        (-1 - 2**-8 - 2**-20, -1 - 2**-7),
        (0.0, 0.0),
        (np.inf, np.inf),
    ],
)
def test_rounding_to_bfloat16(value, rounded):
    bits = np.array([value], np.float32).view(np.uint32)
    assert round_to_bfloat16(bits).view(np.float32)[0] == rounded
