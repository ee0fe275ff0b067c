"""The charts of a training run's page."""

from __future__ import annotations

import pytest

from darknet_py.pages.training_charts import draw_losses, draw_rates, draw_scores
from darknet_py.training.history import Iteration, Score


def make_steps(count, first=0, loss=1.0):
    return [Iteration(first + n, loss / n, loss / n, 0.001 * n) for n in range(1, count + 1)]


@pytest.mark.parametrize(("first", "loss"), [(0, 0.0), (1, 1e-30), (777, 0.7), (500_000, 1e30)])
@pytest.mark.parametrize("count", [1, 2, 3, 50, 1999])
def test_averages_and_rates_stay_in_plots_whose_ticks_are_few(first, count, loss):
    steps = make_steps(count, first, loss)
    span = first, first + count
    for chart in (draw_losses(steps, span), draw_rates(steps, span)):
        assert all(0 <= tick.at <= 100 for tick in chart.x + chart.y)
        assert 1 <= len(chart.x) <= 7
        assert 2 <= len(chart.y) <= 6
        assert len({tick.label for tick in chart.y}) == len(chart.y)
        assert all(0 <= read.at <= 100 for read in chart.reads)
        assert all(-0.01 <= mark <= 100 for read in chart.reads[count // 50 :] for mark in read.marks)
        assert chart.reads[-1].at > 75


def test_one_loss_beyond_all_others_takes_no_height():
    steps = [Iteration(n, 1000.0 if n == 500 else 1.0, 1.0, 0.1) for n in range(1, 1001)]
    chart = draw_losses(steps, (0, 1000))
    assert chart.y[-1].label == "1"
    assert "-99900" in chart.paths["faint"]


def test_few_losses_are_all_within():
    steps = [Iteration(n, 9.0 if n == 2 else 1.0, 1.0, 0.1) for n in range(1, 10)]
    assert draw_losses(steps, (0, 9)).y[-1].label == "10"


def test_a_point_lies_at_its_iteration_and_its_loss():
    chart = draw_losses([Iteration(50, 1.0, 2.0, 0.1), Iteration(100, 4.0, 3.0, 0.1)], (0, 100))
    assert chart.paths == {"faint": "M50,75L100,0L100,0", "first": "M50,50L100,25L100,25"}
    assert chart.reads[0].text == "Iteration 50: loss 1, running average 2"


@pytest.mark.parametrize(("top", "marks"), [(1, 1), (5, 2)])
def test_validations_lie_over_the_iterations_of_the_run(top, marks):
    chart = draw_scores([Score(500, 5, 8, 10), Score(1000, 10, 10, 10)], top, (0, 2000))
    assert [read.at for read in chart.reads] == [25, 50]
    assert chart.reads[0].text.startswith("After 500 iterations: top-1 50.00% (23.66\N{EN DASH}76.34%)")
    assert {len(read.marks) for read in chart.reads} == {marks}
    assert ("second" in chart.paths) == (top > 1)


def test_a_validation_that_counts_no_image_is_drawn():
    assert draw_scores([Score(5, 0, 0, 0)], 5, (0, 5)).reads[0].text.startswith("After 5 iterations: top-1 0.00%")
