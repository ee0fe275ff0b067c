"""The charts of an evaluation's page."""

from __future__ import annotations

import pytest

from darknet_py.evaluation.findings import Bin, Point
from darknet_py.evaluation.totals import interval
from darknet_py.pages.evaluation_charts import draw_calibration, draw_shares


@pytest.mark.parametrize("images", [1, 2, 5, 6, 49, 50, 970, 49967, 1281167])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_settled_lines_stay_in_a_plot_whose_ticks_are_few_and_round(images, accuracy):
    points = [Point(n, accuracy, accuracy, *interval(round(accuracy * n), n)) for n in (images // 2 or 1, images)]
    chart = draw_shares(points, 5)
    assert all(0 <= tick.at <= 100 for tick in chart.x + chart.y)
    assert 2 <= len(chart.x) <= 6
    assert 2 <= len(chart.y) <= 8
    assert len({tick.label for tick in chart.y}) == len(chart.y)
    assert all(0 <= read.at <= 100 and 0 <= mark <= 100 for read in chart.reads for mark in read.marks)


def test_a_calibration_dot_lies_at_its_confidence_and_accuracy():
    bins = [Bin(0.0, 0.5, 0, 0, 0.0), Bin(0.5, 1.0, 200, 150, 0.8)]
    chart = draw_calibration(bins)
    assert chart.paths["dots"] == "M80,25h0"
    (read,) = chart.reads
    assert (read.at, read.marks) == (80, [25])
    assert (
        read.text == "50.0\N{EN DASH}100.0%: 200 images, mean probability 80.0%, accuracy 75.0% (68.6\N{EN DASH}80.5%)"
    )
