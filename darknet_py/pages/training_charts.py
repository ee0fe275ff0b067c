"""The charts of a training run's page: loss, learning rate and validations over its iterations."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ..evaluation.findings import Point
from ..evaluation.totals import interval
from ..training.history import Iteration, Score
from .charts import Chart, Read, count_axis, draw_line, value_axis
from .evaluation_charts import draw_shares

Span = tuple[int, int]  # the first and the last iteration of the axis
USUAL = 0.98  # the share of losses that the scale must show


def draw_losses(iterations: Sequence[Iteration], span: Span) -> Chart:
    """Losses and their running average, at a scale that shows the usual ones after the first few."""
    first, last = span
    settled = [one for one in iterations if one.number - first >= (last - first) / 50]
    losses = sorted(one.loss for one in settled)
    place, values = value_axis(max(losses[ceil(USUAL * (len(losses) - 1))], *(one.average for one in settled)))
    along, counts = count_axis(last, first)
    across = [along(one.number) for one in iterations]
    averages = [place(one.average) for one in iterations]
    return Chart(
        x=counts,
        y=values,
        paths={
            "faint": draw_line([(x, place(one.loss)) for x, one in zip(across, iterations, strict=True)]),
            "first": draw_line(list(zip(across, averages, strict=True))),
        },
        reads=[
            Read(x, f"Iteration {one.number:,}: loss {one.loss:g}, running average {one.average:g}", [y])
            for x, y, one in zip(across, averages, iterations, strict=True)
        ],
    )


def draw_rates(iterations: Sequence[Iteration], span: Span) -> Chart:
    """The learning rate."""
    place, values = value_axis(max(one.rate for one in iterations))
    along, counts = count_axis(span[1], span[0])
    places = [(along(one.number), place(one.rate)) for one in iterations]
    return Chart(
        x=counts,
        y=values,
        paths={"first": draw_line(places)},
        reads=[
            Read(x, f"Iteration {one.number:,}: learning rate {one.rate:g}", [y])
            for (x, y), one in zip(places, iterations, strict=True)
        ],
    )


def draw_scores(scores: Sequence[Score], top: int, span: Span) -> Chart:
    """The results of the validations."""
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
