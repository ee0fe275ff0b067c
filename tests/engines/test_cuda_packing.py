"""Channels in whole packs, and numbers rounded to a precision."""

from __future__ import annotations

import numpy as np
import pytest
from support import random_array

from darknet_py.engines.cuda.packing import Groups, merge_groups, round_to


def test_groups_are_computed_in_whole_packs():
    assert merge_groups(32, 128, 128, 128) == Groups(4, 32, 32)
    assert merge_groups(3, 15, 6, 16) == Groups(1, 16, 8)
    assert merge_groups(2, 128, 64, 128) == Groups(2, 64, 32)


@pytest.mark.parametrize(("precision", "digits"), [("tf32", 11), ("bfloat16", 8)])
def test_rounding_is_to_the_nearest(precision, digits):
    numbers = random_array((1000,))
    rounded = round_to(numbers, precision)
    if precision == "bfloat16":
        rounded = (rounded.astype(np.uint32) << 16).view(np.float32)
    assert np.all(np.abs(rounded - numbers) <= np.abs(numbers) * 2.0**-digits)
    special = np.array([np.nan, np.inf, -np.inf, 0], np.float32)
    kept = round_to(special, precision)
    kept = (kept.astype(np.uint32) << 16).view(np.float32) if precision == "bfloat16" else kept
    np.testing.assert_array_equal(kept, special)
