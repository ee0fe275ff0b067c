"""Counting right answers, and how far the resulting share can be trusted."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from support_valid import some_job

from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import Summary, Totals, interval
from darknet_py.runs.progress import Progress

TOP = 3


def draw(seed, images=200, classes=6):
    """Samples and outcomes of every kind."""
    rng = random.Random(seed)
    for index in range(images):
        kind = rng.random()
        sample = (
            Sample(f"{index}.png", -1, "two labels") if kind < 0.1 else Sample(f"{index}.png", rng.randrange(classes))
        )
        guesses = [(guess, 0.1) for guess in rng.sample(range(classes), 5)]
        yield sample, Outcome(index, error="empty") if 0.05 < kind < 0.2 else Outcome(index, guesses)


def count(pairs, top=TOP):
    totals = Totals(top)
    for sample, outcome in pairs:
        totals.add(sample, outcome)
    return totals


def summarize(totals, images, seconds=2.0, measured=10):
    job = some_job()
    return Summary(job, "x.cfg", "x.weights", "x.data", totals, Progress(totals.images, images, measured, seconds))


@pytest.mark.parametrize("seed", range(5))
def test_totals_are_those_of_a_plain_count(seed):
    pairs = list(draw(seed))
    totals = count(pairs)
    unreadable = [outcome for _, outcome in pairs if outcome.error]
    doubtful = [sample for sample, outcome in pairs if sample.doubt and not outcome.error]
    good = [(sample, outcome.guesses) for sample, outcome in pairs if not outcome.error and not sample.doubt]
    assert unreadable
    assert doubtful
    assert (totals.unreadable, totals.doubtful, totals.counted) == (len(unreadable), len(doubtful), len(good))
    assert totals.right == sum(guesses[0][0] == sample.truth for sample, guesses in good)
    assert totals.right_top == sum(sample.truth in dict(guesses[:TOP]) for sample, guesses in good)
    assert totals.images == len(pairs)
    assert (totals.accuracy, totals.accuracy_top) == (totals.right / len(good), totals.right_top / len(good))


def test_the_order_of_the_images_changes_nothing():
    pairs = list(draw(1))
    assert count(pairs) == count(reversed(pairs))


def test_an_image_that_is_unreadable_and_in_doubt_is_excluded_once():
    totals = count([(Sample("x", -1, "none"), Outcome(0, error="empty"))])
    assert (totals.unreadable, totals.doubtful, totals.images) == (1, 0, 1)


def test_a_guess_beyond_the_top_ones_is_wrong():
    guesses = [(index, 0.1) for index in range(5)]
    assert [count([(Sample("x", 3), Outcome(0, guesses))], top).right_top for top in range(1, 6)] == [0, 0, 0, 1, 1]


def test_without_a_doubt_but_without_a_class_no_guess_is_right():
    totals = count([(Sample("x"), Outcome(0, [(0, 0.5), (1, 0.3)]))])
    assert (totals.counted, totals.right, totals.right_top) == (1, 0, 0)


def test_shares_of_nothing_are_nothing():
    assert (Totals(5).accuracy, Totals(5).accuracy_top) == (0, 0)


# Known values: Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
@pytest.mark.parametrize(
    ("right", "counted", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_wilsons(right, counted, low, high):
    assert interval(right, counted) == pytest.approx((low, high), abs=5e-5)
    assert interval(counted - right, counted) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize("counted", [1, 2, 5, 50, 50_000, 10**9])
def test_intervals_of_none_and_of_all_end_where_shares_do(counted):
    low, high = interval(0, counted)
    assert low == 0 < high < 1
    assert interval(counted, counted)[0] == pytest.approx(1 - high)
    assert interval(counted, counted)[1] == 1


def test_classes_that_numpy_numbered_make_figures_that_json_takes():
    totals = Totals(2)
    totals.add(Sample("x.png", np.int64(3)), Outcome(0, [(3, 0.5), (4, 0.25)]))
    assert json.loads(json.dumps(totals.figures()))["top-1"][:2] == [1, 1]


def test_the_interval_of_nothing_is_everything():
    assert interval(0, 0) == (0, 1)


def test_a_summary_tells_figures_for_a_program():
    fields = summarize(Totals(5, counted=20, right=10, right_top=20, unreadable=2, doubtful=3), 30).fields()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["top-1"] == {"right": 10, "accuracy": 0.5, "interval": list(interval(10, 20))}
    assert fields["top-5"] == {"right": 20, "accuracy": 1, "interval": list(interval(20, 20))}
    assert (fields["images"], fields["counted"], fields["complete"]) == (30, 20, False)
    assert fields["excluded"] == {"unreadable": 2, "class unknown": 3}
    assert (fields["seconds"], fields["images_per_second"]) == (2, 5)


def test_with_one_guess_there_is_one_figure():
    assert list(Totals(1, counted=4).figures()) == ["top-1"]


def test_images_are_done_whether_they_count_or_not():
    assert Totals(1, counted=1, unreadable=1, doubtful=1).images == 3


def test_a_run_that_had_nothing_left_to_measure_has_no_speed():
    summary = summarize(Totals(1), 1, seconds=0.3, measured=0)
    assert summary.pace == "0.3 s, no image measured in this run"
    assert summary.fields()["images_per_second"] is None
    assert summarize(Totals(1), 1).pace == "2.0 s, 5.0 images/s"
