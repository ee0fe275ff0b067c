"""Runs made up for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.evaluation.job import Job
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.totals import Summary, Totals
from darknet_py.runs.progress import Progress


def make_dataset(classes: int) -> Dataset:
    """Classes with names and ids."""
    names = [f"name {index}" for index in range(classes)]
    return Dataset("x.data", classes, names, [f"n{index:08}" for index in range(classes)], 5)


def make_run(images: int, classes: int, exclude: bool = True) -> tuple[list[Sample], list[Outcome]]:
    """Images that are of all classes but the last, and guesses that are often right."""
    rng = np.random.default_rng(5)
    samples, outcomes = [], []
    for index in range(images):
        truth = int(rng.integers(classes - 1))
        guesses = rng.choice(classes, 5, replace=False).tolist()
        if rng.random() < 0.6:
            guesses = [truth, *[guess for guess in guesses if guess != truth][:4]]
        # As short as they are told, so that some are equal.
        probabilities = np.sort(rng.dirichlet([1] * 6).round(3))[:0:-1].tolist()
        unknown, unreadable = (rng.random(2) < 0.02) & exclude
        samples.append(Sample(f"{index}.jpg", -1, "no label") if unknown else Sample(f"{index}.jpg", truth))
        pairs = list(zip(guesses, probabilities, strict=True))
        outcomes.append(Outcome(index, error="an empty file") if unreadable else Outcome(index, pairs))
    return samples, outcomes


def summarize_run(samples: Sequence[Sample], outcomes: Iterable[Outcome], top: int = 5, cfg: str = "tiny") -> Summary:
    """The summary of a run that took ten seconds."""
    totals = Totals(top)
    for outcome in outcomes:
        totals.add(samples[outcome.index], outcome)
    return Summary(
        job=Job("0.1.0", "valid", "center-crop", "cpu", "float32", "darknet", "cfg's", "weights'", keep=5, shown=2),
        cfg=cfg,
        weights="tiny.weights",
        data="x.data",
        totals=totals,
        progress=Progress(totals.images, len(samples), totals.images, seconds=10.0),
    )
