"""Making pages from templates."""

from __future__ import annotations

import pytest

from darknet_py.pages.render import tell_duration


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (59.96, "1 min 00 s"), (125.4, "2 min 05 s"), (7199.6, "2 h 00 min")]
)
def test_durations_are_told_in_units_of_their_size(seconds, told):
    assert tell_duration(seconds) == told
