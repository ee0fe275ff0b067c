"""A run's figures: few, the same however the run was divided, and unchanged by a checkpoint."""

from __future__ import annotations

import json

import pytest

from darknet_py.evaluation.totals import Totals
from darknet_py.training.history import KEPT, History, Iteration, Score, Thinned


def make(iterations, scores=0):
    history = History()
    for n in range(1, iterations + 1):
        history.add_iteration(n, 1 / n, 2 / n, 0.1 / n)
    for n in range(1, scores + 1):
        history.add_score(10 * n, Totals(5, counted=7, right=n % 7, right_top=7))
    return history


def through_json(history):
    return History.from_fields(json.loads(json.dumps(history.to_fields())))


@pytest.mark.parametrize("count", [1, 2, KEPT - 1, KEPT, KEPT + 1, KEPT + 2, 2 * KEPT, 2 * KEPT + 1, 9 * KEPT + 5])
def test_of_many_rows_every_nth_stays_and_the_last(count):
    thinned = Thinned()
    for n in range(count):
        thinned.add(Iteration(n, 0.0, 0.0, 0.0))
    every = thinned.every
    assert [row.number for row in thinned.kept] == list(range(0, count, every))
    assert thinned.rows[-1].number == count - 1
    assert len({row.number for row in thinned.rows}) == len(thinned.rows) <= KEPT + 1
    assert every == 1 or len(thinned.kept) > KEPT / 2


@pytest.mark.parametrize(("first", "more"), [(0, 0), (1, 1), (KEPT - 1, 3), (3 * KEPT, KEPT + 7)])
def test_a_history_that_is_written_and_read_between_goes_on_as_if_it_were_not(first, more):
    whole, part = make(first + more), through_json(make(first))
    for n in range(first + 1, first + more + 1):
        part.add_iteration(n, 1 / n, 2 / n, 0.1 / n)
    assert part == whole
    assert through_json(whole) == whole


def test_validations_are_kept_as_counts():
    assert make(0, 2).scores.rows == [Score(10, 1, 7, 7), Score(20, 2, 7, 7)]
    assert make(0).iterations.rows == []


def test_a_history_of_a_long_run_fits_into_a_checkpoints_line():
    history = History()
    for n in range(1 << 16):
        history.add_iteration(10**9 + n, 1.23456e-30, 1.23456e-30, 1.23456e-30)
        history.add_score(10**9 + n, Totals(5, counted=10**8, right=10**7, right_top=10**8))
    assert len(json.dumps(history.to_fields())) < 1 << 19


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["iterations"][1].pop(),
        lambda fields: fields["iterations"].__setitem__(0, 9),
        lambda fields: fields["scores"][1][0].append(1),
        lambda fields: fields["iterations"].__setitem__(2, None),
        lambda fields: fields.pop("scores"),
    ],
)
def test_what_is_no_history_is_an_error(change):
    fields = json.loads(json.dumps(make(3, 2).to_fields()))
    change(fields)
    with pytest.raises((ValueError, KeyError, TypeError)):
        History.from_fields(fields)
