"""The outcome of an image, and its line in a journal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from darknet_py.evaluation.outcome import Outcome, OutcomeForm, summarize

TIED = np.array([0.25, 0.5, 0.125, 0.5, 0.25], np.float32)


def test_guesses_are_the_most_probable_and_of_equals_the_lower_index_first():
    outcome = summarize(7, TIED, keep=4, shown=0)
    assert outcome == Outcome(7, [(1, 0.5), (3, 0.5), (0, 0.25), (4, 0.25)], [])


def test_the_first_classes_are_told_in_their_own_order():
    assert summarize(0, TIED, keep=1, shown=3).shown == [0.25, 0.5, 0.125]


def test_more_than_there_is_cannot_be_kept():
    outcome = summarize(0, TIED, keep=9, shown=9)
    assert (len(outcome.guesses), outcome.shown) == (5, TIED.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_a_line_gives_back_the_same_float32_and_guesses_in_few_digits(seed):
    values = np.random.default_rng(seed).random(1000, np.float32) ** 9
    values[:3] = 0, 1, np.nextafter(np.float32(0), np.float32(1))
    outcome = summarize(3, values, keep=5, shown=1000)
    back = Outcome.from_line(outcome.to_line().encode())
    assert back == outcome
    np.testing.assert_array_equal(np.array(back.shown, np.float32), values)
    for index, probability in back.guesses:
        assert np.float32(probability) == values[index]
        assert len(repr(probability)) <= len("0.123456789")


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(0, [(1, 0.5)], []),
        Outcome(2**40, [(999, 1e-30), (0, 0.0)], [0.5]),
        Outcome(5, [], [], "no such file"),
        Outcome(5, [], [], 'a "line"\nwith é, \udcff and \0'),
    ],
)
def test_a_line_is_one_line_of_ascii_and_gives_back_the_outcome(outcome):
    line = outcome.to_line()
    assert line.isascii()
    assert line.index("\n") == len(line) - 1
    assert Outcome.from_line(line.encode()) == outcome


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\0\0\0\n",
        b"\xff\xfe\n",
        b"null\n",
        b"7\n",
        b"[1,2]\n",
        b"{}\n",
        b'{"image":1\n',
        b'{"image":"x","guesses":[[1,0.5]]}\n',
        b'{"image":null,"guesses":[[1,0.5]]}\n',
        b'{"image":1e999,"guesses":[[1,0.5]]}\n',
        b'{"guesses":[[1,0.5]]}\n',
        b'{"image":1,"guesses":7}\n',
        b'{"image":1,"guesses":[1]}\n',
        b'{"image":1,"guesses":[[1,0.5,3]]}\n',
        b'{"image":1,"guesses":[["x",0.5]]}\n',
        b'{"image":1,"guesses":[]}\n',
        b'{"image":1}\n',
        b'{"image":1,"error":""}\n',
        b'{"image":1,"error":7}\n',
        b'{"image":1,"error":"gone","guesses":[[1,0.5]]}\n',
        b'{"image":1.0,"guesses":[[1,0.5]]}\n',
        b'{"image":true,"guesses":[[1,0.5]]}\n',
        b'{"image":true,"error":"gone"}\n',
        b'{"image":1,"guesses":[[true,0.5]]}\n',
        b'{"image":1,"guesses":[[1.5,0.5]]}\n',
        b'{"image":1,"guesses":[["1",0.5]]}\n',
        b'{"image":1,"guesses":[[1,"0.5"]]}\n',
        b'{"image":1,"guesses":[[1,true]]}\n',
        b'{"image":1,"guesses":[[1,0.5]],"shown":"ab"}\n',
        b'{"image":1,"guesses":[[1,0.5]],"shown":["0.5"]}\n',
        b'{"image":1,"guesses":[[1,0.5]],"more":1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_no_outcome_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011
        Outcome.from_line(line)


FORM = OutcomeForm(count=3, classes=2, guesses=2, shown=1)
FITTING = Outcome(2, [(1, 0.5), (0, 0.25)], [0.25])


@pytest.mark.parametrize("outcome", [FITTING, replace(FITTING, index=0), Outcome(1, [], [], "no such file")])
def test_a_run_takes_back_its_own_outcomes(outcome):
    assert FORM.from_line(FORM.to_line(outcome)) == outcome
    assert FORM.place(outcome) == outcome.index


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 3},
        {"index": -1},
        {"guesses": FITTING.guesses[:1]},
        {"guesses": [*FITTING.guesses, (0, 0.1)]},
        {"shown": ()},
        {"shown": [0.25, 0.5]},
        {"guesses": [(2, 0.5), (0, 0.25)]},
        {"guesses": [(1, 0.5), (-1, 0.25)]},
        {"index": 3, "guesses": (), "shown": (), "error": "no such file"},
    ],
    ids=str,
)
def test_outcomes_of_another_run_are_refused(changes):
    line = FORM.to_line(replace(FITTING, **changes))
    Outcome.from_line(line)
    with pytest.raises(ValueError, match=r"^an outcome of another run$"):
        FORM.from_line(line)
