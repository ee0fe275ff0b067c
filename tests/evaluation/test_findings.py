"""What outcomes say, against a plain count of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support_page import make_run

from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.findings import (
    BINS,
    EXCLUSIONS,
    MISTAKES,
    PAIRS,
    POINTS,
    Bin,
    ClassRow,
    Exclusion,
    Pair,
    study,
)
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import interval

CLASSES, TOP = 23, 3


@pytest.fixture(scope="module")
def run():
    """A run over 3,000 images, of which some are excluded and one stretch is missing."""
    samples, outcomes = make_run(3000, CLASSES)
    return samples, [outcome for outcome in outcomes if not 1000 <= outcome.index < 1100]


@pytest.fixture(scope="module")
def findings(run):
    samples, outcomes = run
    return study(samples, iter(outcomes), CLASSES, TOP)


@pytest.fixture(scope="module")
def counted(run):
    """Truth, guesses, and probability of the first for each image that counts."""
    samples, outcomes = run
    return [
        (samples[outcome.index].truth, [index for index, _ in outcome.guesses], outcome.guesses[0][1])
        for outcome in outcomes
        if not outcome.error and not samples[outcome.index].doubt
    ]


def test_points_are_running_means_and_end_with_all_images(findings, counted):
    assert len(findings.points) == POINTS
    assert findings.points[-1].after == len(counted)
    for point in findings.points:
        part = counted[: point.after]
        right = sum(guesses[0] == truth for truth, guesses, _ in part)
        assert point.accuracy == right / len(part)
        assert point.accuracy_top == sum(truth in guesses[:TOP] for truth, guesses, _ in part) / len(part)
        assert (point.low, point.high) == interval(right, len(part))


def test_of_few_images_each_is_a_point():
    samples, outcomes = make_run(40, CLASSES, exclude=False)
    assert [point.after for point in study(samples, outcomes, CLASSES, TOP).points] == list(range(1, 41))


def test_classes_come_least_accurate_first_with_their_own_counts(findings, counted):
    rows = []
    for index in range(CLASSES):
        of_class = [guesses for truth, guesses, _ in counted if truth == index]
        wrong = Counter(guesses[0] for guesses in of_class if guesses[0] != index)
        taken = min(wrong.items(), key=lambda item: (-item[1], item[0]), default=(-1, 0))
        right = sum(guesses[0] == index for guesses in of_class)
        right_top = sum(index in guesses[:TOP] for guesses in of_class)
        if of_class:
            rows.append(ClassRow(index, len(of_class), right, right_top, *taken))
    assert len(rows) < CLASSES
    assert findings.classes == sorted(rows, key=lambda row: (row.right / row.images, row.right_top / row.images))


def test_pairs_are_the_most_frequent_wrong_first_guesses(findings, counted):
    images = Counter(truth for truth, _, _ in counted)
    wrong = Counter((truth, guesses[0]) for truth, guesses, _ in counted if truth not in (-1, guesses[0]))
    pairs = [Pair(truth, guess, taken, images[truth]) for (truth, guess), taken in wrong.items()]
    expected = sorted(pairs, key=lambda pair: (-pair.taken, pair.images, pair.truth, pair.guess))
    assert findings.pairs == expected[:PAIRS]
    assert findings.pairs_found == len(expected)


def test_bins_hold_every_image_once_and_their_error_is_the_mean_distance(findings, counted):
    error = 0.0
    for place, bin in enumerate(findings.bins):
        inside = [image for image in counted if min(int(image[2] * BINS), BINS - 1) == place]
        right = sum(guesses[0] == truth for truth, guesses, _ in inside)
        confidence = sum(probability for _, _, probability in inside) / max(len(inside), 1)
        assert bin == Bin(place / BINS, (place + 1) / BINS, len(inside), right, pytest.approx(confidence))
        error += abs(right - sum(probability for _, _, probability in inside)) / len(counted)
    assert sum(bin.images for bin in findings.bins) == len(counted)
    assert findings.calibration_error == pytest.approx(error)


def test_mistakes_are_the_surest_wrong_guesses_earlier_images_first(findings, run):
    samples, outcomes = run
    wrong = [
        outcome
        for outcome in outcomes
        if not outcome.error
        and not samples[outcome.index].doubt
        and outcome.guesses[0][0] != samples[outcome.index].truth
    ]
    expected = sorted(wrong, key=lambda outcome: (-outcome.guesses[0][1], outcome.index))[:MISTAKES]
    assert findings.mistakes == [(samples[outcome.index], outcome) for outcome in expected]


def test_exclusions_say_why_and_are_not_counted(findings, run, counted):
    samples, outcomes = run
    assert len(counted) + findings.excluded == len(outcomes)
    assert {exclusion.kind for exclusion in findings.exclusions} == {"unreadable", "class unknown"}
    assert findings.exclusions[0] in (
        Exclusion(sample.file, "class unknown", sample.doubt)
        if sample.doubt
        else Exclusion(sample.file, "unreadable", "an empty file")
        for sample in samples
    )


def test_an_unreadable_image_without_a_class_is_unreadable():
    findings = study([Sample("a.jpg", -1, "no label")], [Outcome(0, error="an empty file")], 2, 1)
    assert findings.exclusions == [Exclusion("a.jpg", "unreadable", "an empty file")]


def test_exclusions_beyond_a_thousand_are_told_by_number():
    samples = [Sample(f"{n}.jpg", 0) for n in range(EXCLUSIONS + 7)]
    findings = study(samples, (Outcome(n, error="gone") for n in range(len(samples))), 2, 1)
    assert len(findings.exclusions) == EXCLUSIONS
    assert findings.excluded == EXCLUSIONS + 7


def test_images_whose_path_bears_no_label_count_as_wrong_and_are_in_no_class():
    samples = [Sample("a.jpg", -1), Sample("b.jpg", 1)]
    findings = study(samples, [Outcome(0, [(1, 0.9), (0, 0.1)]), Outcome(1, [(1, 0.8), (0, 0.2)])], 2, 2)
    assert findings.unlabelled == 1
    assert findings.points[-1].accuracy == 0.5
    assert [(row.number, row.images) for row in findings.classes] == [(1, 1)]
    assert findings.pairs == []
    assert [sample.file for sample, _ in findings.mistakes] == ["a.jpg"]


def test_probabilities_that_are_none_fall_into_the_bins_at_the_ends():
    values = [-5.0, -3.0, 7.5, 9.0]
    samples = [Sample("x.jpg", 1)] * len(values)
    findings = study(samples, [Outcome(n, [(0, value)]) for n, value in enumerate(values)], 2, 1)
    assert [bin.images for bin in findings.bins] == [2, *[0] * (BINS - 2), 2]
    assert [outcome.index for _, outcome in findings.mistakes] == [3, 2, 1, 0]


def test_nothing_found_is_nothing_but_empty_bins():
    findings = study([], [], CLASSES, TOP)
    assert (findings.points, findings.classes, findings.pairs, findings.mistakes, findings.exclusions) == ([],) * 5
    assert findings.calibration_error == 0
    assert [bin.images for bin in findings.bins] == [0] * BINS


def test_outcomes_are_not_kept(run):
    """Memory that grows with the images is a few bytes of each."""
    import tracemalloc

    samples = [Sample("x.jpg", 1)] * 100_000
    probabilities = np.random.default_rng(1).random(len(samples)).tolist()
    tracemalloc.start()
    study(samples, (Outcome(n, [(0, p), (1, 0.0)]) for n, p in enumerate(probabilities)), 2, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / len(samples) < 150
