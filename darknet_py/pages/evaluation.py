"""The page of an evaluation: what a run over a list of images has found."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from ..datasets.data_file import Dataset
from ..datasets.lists import find_image
from ..datasets.samples import Sample
from ..errors import DarknetError, DatasetError
from ..evaluation.findings import Findings, study
from ..evaluation.outcome import Outcome
from ..evaluation.totals import CONFIDENCE, Summary
from ..files import write_atomically
from ..images.decode import load_image, thumbnail
from .evaluation_charts import draw_calibration, draw_histogram, draw_settling
from .render import render

SIDE = 160  # pixels of a thumbnail's longer side
SHOWN = 5  # guesses told of a mistake


class Named(NamedTuple):
    """A class as it is shown; `label` is what paths are searched for, where that is not its name."""

    name: str
    label: str


class Guess(NamedTuple):
    """One of the best guesses for an image."""

    name: str
    probability: float
    right: bool


class Mistake(NamedTuple):
    """An image whose first guess is wrong; `thumbnail` is a data URI, empty where the image cannot be shown."""

    file: str
    truth: str
    guesses: list[Guess]
    thumbnail: str


def save_page(
    path: str,
    summary: Summary,
    dataset: Dataset,
    samples: Sequence[Sample],
    outcomes: Iterable[Outcome],
) -> None:
    """Write the page that tells what a run has found.

    Parameters
    ----------
    path : str
        Of the page; a file that is there is replaced.
    summary : Summary
    dataset : Dataset
        What the classes are called, and from where the images of the list are looked for.
    samples : sequence of Sample
        The list.
    outcomes : iterable of Outcome
        In list order, each once; they are not kept. Some may be missing, where the run is not complete.

    Raises
    ------
    DatasetError
        Where the file cannot be written.
    """
    findings = study(samples, outcomes, dataset.classes, summary.totals.top)
    write_atomically(path, [_render(summary, dataset, findings)], DatasetError)


def _render(summary: Summary, dataset: Dataset, findings: Findings) -> bytes:
    def name(index: int) -> Named:
        label = dataset.wnids[index]
        return Named(dataset.names[index], "" if label == dataset.names[index] else label)

    return render(
        "evaluation.html.j2",
        summary=summary,
        network=PurePath(summary.cfg).stem,
        findings=findings,
        classes=dataset.classes,
        name=name,
        settling=draw_settling(findings.points, summary.totals.top) if findings.points else None,
        calibration=draw_calibration(findings.bins),
        histogram=draw_histogram(findings.bins),
        mistakes=[_show_mistake(sample, outcome, dataset) for sample, outcome in findings.mistakes],
        confidence=f"{100 * CONFIDENCE:g}%",
    )


def _show_mistake(sample: Sample, outcome: Outcome, dataset: Dataset) -> Mistake:
    guesses = [
        Guess(dataset.names[index], probability, index == sample.truth)
        for index, probability in outcome.guesses[:SHOWN]
    ]
    truth = dataset.names[sample.truth] if sample.truth >= 0 else ""
    return Mistake(sample.file, truth, guesses, _load_thumbnail(sample.file, dataset))


def _load_thumbnail(file: str, dataset: Dataset) -> str:
    """The image as a data URI; empty where it has gone since, or changed into something that is none."""
    try:
        picture = thumbnail(load_image(find_image(file, dataset)), SIDE)
    except (DarknetError, OSError, ValueError, MemoryError):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
