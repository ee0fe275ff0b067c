"""The charts of a training run's page: loss, learning rate and validations over its iterations."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ..evaluation.findings import Point
from ..evaluation.totals import interval
from ..training.history import Score, Step
from .charts import Chart, Read, count_axis, draw_line, value_axis
from .evaluation_charts import draw_shares

Span = tuple[int, int]  # from which to which iteration
USUAL = 0.98  # the share of losses for which there is room at least


def draw_losses(steps: Sequence[Step], span: Span) -> Chart:
    """Losses and their average, at a scale that shows those that are usual after the first few."""
    first, last = span
    settled = [step for step in steps if step.iteration - first >= (last - first) / 50]
    losses = sorted(step.loss for step in settled)
    place, values = value_axis(max(losses[ceil(USUAL * (len(losses) - 1))], *(step.average for step in settled)))
    along, counts = count_axis(last, first)
    across = [along(step.iteration) for step in steps]
    averages = [place(step.average) for step in steps]
    return Chart(
        x=counts,
        y=values,
        paths={
            "faint": draw_line([(x, place(step.loss)) for x, step in zip(across, steps, strict=True)]),
            "first": draw_line(list(zip(across, averages, strict=True))),
        },
        reads=[
            Read(x, f"Iteration {step.iteration:,}: loss {step.loss:g}, running average {step.average:g}", [y])
            for x, y, step in zip(across, averages, steps, strict=True)
        ],
    )


def draw_rates(steps: Sequence[Step], span: Span) -> Chart:
    """The learning rate."""
    place, values = value_axis(max(step.rate for step in steps))
    along, counts = count_axis(span[1], span[0])
    places = [(along(step.iteration), place(step.rate)) for step in steps]
    return Chart(
        x=counts,
        y=values,
        paths={"first": draw_line(places)},
        reads=[
            Read(x, f"Iteration {step.iteration:,}: learning rate {step.rate:g}", [y])
            for (x, y), step in zip(places, steps, strict=True)
        ],
    )


def draw_scores(scores: Sequence[Score], top: int, span: Span) -> Chart:
    """What each validation has found."""
    points = [
        Point(
            score.iteration,
            score.right / max(score.counted, 1),
            score.right_top / max(score.counted, 1),
            *interval(score.right, score.counted),
        )
        for score in scores
    ]
    return draw_shares(points, top, "iteration", span)
