"""Axes: a few round numbers, and all that is shown between the first and the last."""

from __future__ import annotations

import pytest

from darknet_py.pages.charts import count_axis, value_axis


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.3, ["0", "0.1", "0.2", "0.3"]),
        (0.001, ["0", "0.0002", "0.0004", "0.0006", "0.0008", "0.001"]),
        (6.9, ["0", "2", "4", "6", "8"]),
        (1234.0, ["0", "500", "1000", "1500"]),
        (0.0, ["0", "1"]),
    ],
)
def test_values_have_round_ticks_from_0_on(highest, labels):
    place, ticks = value_axis(highest)
    assert [tick.label for tick in ticks] == labels
    assert (ticks[0].at, ticks[-1].at) == (100, 0)
    assert 0 <= place(highest) <= 100


@pytest.mark.parametrize("factor", [1.0, 1.1, 2.5, 4.99, 5.0, 5.01, 9.99])
def test_values_of_any_size_fit(factor):
    for exponent in range(-300, 300, 7):
        place, ticks = value_axis(factor * 10.0**exponent)
        assert 2 <= len(ticks) <= 6, exponent
        assert -0.01 <= place(factor * 10.0**exponent) < 60, exponent


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        (0, 100, ["0", "20", "40", "60", "80", "100"]),
        (500_000, 501_000, ["500,000", "500,200", "500,400", "500,600", "500,800", "501,000"]),
        (7, 7, ["7"]),
        (999, 1001, ["999", "1,000", "1,001"]),
    ],
)
def test_counts_may_begin_anywhere(first, last, labels):
    place, ticks = count_axis(last, first)
    assert [tick.label for tick in ticks] == labels
    assert place(first) == 0
    assert first == last or place(last) == 100
