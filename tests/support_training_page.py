"""Made-up training runs for the tests of their page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from support import make_network
from support_page import Page, make_dataset, make_run

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.loop import EvaluationProgress
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import Totals
from darknet_py.pages.training import TrainingFacts, TrainingPage
from darknet_py.parameters import Parameters
from darknet_py.training.history import History
from darknet_py.training.options import TrainingOptions
from darknet_py.training.trainer import TrainingProgress

OPTIONS = TrainingOptions.of(make_network((3, 16, 16), ("softmax", {})), batch=16, max_batches=100)
FACTS = TrainingFacts("tiny", "cfg/tiny.cfg", "backup/tiny_best.weights", "x.data", OPTIONS, 64)
CLASSES = 20
PART = 7  # images of a validation in each progress


def tell(history: History, **fields: Any) -> TrainingProgress:
    """The progress after an iteration, or during a validation after it, with the given `fields`."""
    usual = {
        "done": 0, "total": 1600, "fresh": 0, "seconds": 1.0, "iteration": 1, "epoch": 0.25, "loss": 1.0,
        "average": 1.0, "rate": 0.1, "waiting": 0.0, "working": 0.1, "validation": None, "remark": "",
        "best": -1.0, "best_iteration": 0, "parameters": Parameters((), np.empty(0, np.float32)),
    }  # fmt: skip
    return TrainingProgress(**{**usual, "history": history, **fields})


def tell_iterations(history: History, first: int, last: int) -> Iterator[TrainingProgress]:
    """The progress of iterations whose loss falls."""
    for n in range(first, last + 1):
        history.add_iteration(n, 3 / n + n % 3 / 10, 3 / n + 0.1, 0.1)
        yield tell(history, iteration=n)


def tell_validation(
    history: History, iteration: int, samples: Sequence[Sample], outcomes: Sequence[Outcome], best: int
) -> Iterator[TrainingProgress]:
    """The progress of a validation in parts; `best` is the iteration with the best one, this or an earlier one."""
    totals = Totals(5)
    for start in range(0, len(samples), PART):
        for outcome in outcomes[start : start + PART]:
            totals.add(samples[outcome.index], outcome)
        told = outcomes[start : start + PART]
        progress = EvaluationProgress(totals.images, len(samples), totals.images, 1.0, told, replace(totals))
        if progress.complete:
            history.add_score(iteration, totals)
        yield tell(history, iteration=iteration, validation=progress, best_iteration=best if progress.complete else 0)


def write_page(
    path: Path,
    told: Iterable[TrainingProgress],
    samples: Sequence[Sample] = (),
    dataset: Dataset | None = None,
    facts: TrainingFacts = FACTS,
) -> Page:
    """Write the page of a run with this progress."""
    with TrainingPage(str(path), facts, dataset or make_dataset(CLASSES), samples) as page:
        for progress in told:
            page.add(progress)
    return Page(path)


def tell_run(iterations: int = 100, images: int = 60, every: int = 25) -> Iterator[TrainingProgress]:
    """The progress of a run whose best validation, on the images of `make_run`, is that after half its iterations."""
    history = History()
    samples, outcomes = make_run(images, CLASSES)
    worse = [replace(outcome, guesses=outcome.guesses[::-1]) for outcome in outcomes]
    for last in range(every, iterations + 1, every):
        yield from tell_iterations(history, last - every + 1, last)
        best = min(last, iterations // 2)
        yield from tell_validation(history, last, samples, outcomes if last == best else worse, best)
