"""The findings of an evaluation, as they are shown on any page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ..datasets.data_file import Dataset
from ..datasets.lists import find_image
from ..datasets.samples import Sample
from ..errors import DarknetError
from ..evaluation.findings import Findings
from ..evaluation.outcome import Outcome
from ..evaluation.totals import CONFIDENCE, Totals
from ..images import Picture
from ..images.decode import load_image, thumbnail
from .evaluation_charts import draw_calibration, draw_histogram

Look = Callable[[Picture, int], "Picture | None"]

SIDE = 160  # pixels of a thumbnail's longer side
SHOWN = 5  # guesses shown for a mistake
CONFIDENT = f"{100 * CONFIDENCE:g}%"


class Named(NamedTuple):
    """A class as it is shown; `label` is what paths are searched for, or empty where that is its name."""

    name: str
    label: str


class Guess(NamedTuple):
    """One of the best guesses for an image."""

    name: str
    probability: float
    right: bool


class Mistake(NamedTuple):
    """An image whose first guess is wrong; `pictures` are data URIs of it and of where the network looked."""

    file: str
    truth: str
    guesses: list[Guess]
    pictures: list[str]


def show_findings(findings: Findings, totals: Totals, dataset: Dataset, look: Look | None = None) -> dict[str, object]:
    """The values that findings.j2, and `figures` of macros.j2, need; this reads the images of mistakes.

    `look` draws a picture's heatmap for a class, or returns None.
    """

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
        "mistakes": [_show_mistake(sample, outcome, dataset, look) for sample, outcome in findings.mistakes],
        "looked": look is not None,
        "confidence": CONFIDENT,
    }


def _show_mistake(sample: Sample, outcome: Outcome, dataset: Dataset, look: Look | None) -> Mistake:
    guesses = [
        Guess(dataset.names[index], probability, index == sample.truth)
        for index, probability in outcome.guesses[:SHOWN]
    ]
    truth = dataset.names[sample.truth] if sample.truth >= 0 else ""
    return Mistake(sample.file, truth, guesses, _load_pictures(sample.file, outcome.guesses[0][0], dataset, look))


def _load_pictures(file: str, guess: int, dataset: Dataset, look: Look | None) -> list[str]:
    """The image, and its heatmap for class `guess`, as far as they can be made: the file may be gone."""
    small: list[bytes] = []
    with suppress(DarknetError, OSError, ValueError, MemoryError):
        picture = load_image(find_image(file, dataset))
        small.append(thumbnail(picture, SIDE))
        looked = None if look is None else look(picture, guess)
        if looked is not None:
            small.append(thumbnail(looked, SIDE))
    return [f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for one in small]
