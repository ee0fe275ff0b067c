"""Journals, from their bytes to the outcomes that a run goes on with."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import pytest
from fuzzing import Seeds, fuzz, memory_folder
from mutations import NUMBERS, TEXT, damage

from darknet_py.evaluation.outcome import Outcome, OutcomeForm
from darknet_py.runs.journals import open_journal

pytestmark = pytest.mark.slow

MEASURED = {"version": "1", "command": "valid", "list": "8 images, sha256 0123456789abcdef", "classes": "é"}
ERRORS = ["no such file", "x.jpg: a damaged JPEG: premature end", "日本\udce9", '"', "0"]
WORDS = [b"image", b"guesses", b"shown", b"error", b"[[0,1]]", b"NaN", b"Infinity", b'"x"', b"{}", b"[]"]
WORDS += [b"[" * 100_000, b'{"a":' * 2_000, *NUMBERS]


@functools.lru_cache(None)
def whole(base: int) -> tuple[list[Outcome], OutcomeForm, bytes]:
    """A run's outcomes, one for each image, what they look like, and their journal."""
    rng = random.Random(base)
    form = OutcomeForm(rng.randrange(1, 10), 1000, guesses=rng.randrange(1, 6), shown=rng.choice((0, 0, 2)))
    outcomes = []
    for index in range(form.count):
        guesses = [(rng.randrange(1000), round(rng.random(), rng.randrange(1, 9))) for _ in range(form.guesses)]
        shown = [rng.random() for _ in range(form.shown)]
        outcomes.append(
            Outcome(index, [], [], rng.choice(ERRORS)) if rng.random() < 0.2 else Outcome(index, guesses, shown)
        )
    with open_journal("whole.jsonl", MEASURED, form, resume=False) as journal:
        journal.append(rng.sample(outcomes, len(outcomes)))
    content = Path("whole.jsonl").read_bytes()
    Path("whole.jsonl").unlink()
    return outcomes, form, content


def test_a_journals_outcomes_are_those_of_the_run_or_missing():
    def make(base: int, seeds: Seeds) -> tuple[int, bytes]:
        return base, damage(whole(base)[2], seeds, TEXT, WORDS)

    def use(case: tuple[int, bytes]) -> None:
        base, content = case
        outcomes, form, undamaged = whole(base)
        Path("x.jsonl").write_bytes(content)
        with open_journal("x.jsonl", MEASURED, form, resume=True) as journal:
            found, missing = list(journal.records()), list(journal.missing())
            assert content != undamaged or not missing, "not all outcomes of a whole journal"
            rest = [outcome for outcome in outcomes if outcome.index not in missing]
            assert journal.done == len(found), "not as many outcomes as are said to be done"
            assert repr(found) == repr(rest), "other outcomes than the run's"
            journal.append([outcomes[index] for index in missing])
            assert repr(list(journal.records())) == repr(outcomes), "other outcomes after what was missing came"

    with memory_folder():
        fuzz("journal", make, use)
