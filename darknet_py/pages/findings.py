"""What the findings of an evaluation look like, on whichever page they are."""

from __future__ import annotations

import base64
from typing import NamedTuple

from ..datasets.data_file import Dataset
from ..datasets.lists import find_image
from ..datasets.samples import Sample
from ..errors import DarknetError
from ..evaluation.findings import Findings
from ..evaluation.outcome import Outcome
from ..evaluation.totals import CONFIDENCE, Totals
from ..images.decode import load_image, thumbnail
from .evaluation_charts import draw_calibration, draw_histogram

SIDE = 160  # pixels of a thumbnail's longer side
SHOWN = 5  # guesses told of a mistake
CONFIDENT = f"{100 * CONFIDENCE:g}%"


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


def show_findings(findings: Findings, totals: Totals, dataset: Dataset) -> dict[str, object]:
    """What findings.j2 asks for, and `figures` of macros.j2; the images of mistakes are read."""

    def name(index: int) -> Named:
        label = dataset.wnids[index]
        return Named(dataset.names[index], "" if label == dataset.names[index] else label)

    return {
        "findings": findings,
        "totals": totals,
        "classes": dataset.classes,
        "name": name,
        "calibration": draw_calibration(findings.bins),
        "histogram": draw_histogram(findings.bins),
        "mistakes": [_show_mistake(sample, outcome, dataset) for sample, outcome in findings.mistakes],
        "confidence": CONFIDENT,
    }


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
