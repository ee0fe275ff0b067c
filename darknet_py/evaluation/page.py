"""A run's results as one HTML page that needs nothing else: opened from disk, printed, sent by mail."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__
from ..datasets.data_file import Dataset
from ..datasets.samples import Sample, find_image
from ..errors import CONTROLS, DarknetError, DatasetError
from ..files import write_atomically
from ..images.decode import load_image, thumbnail
from .charts import draw_calibration, draw_histogram, draw_settling, percent
from .findings import Findings, study
from .outcome import Outcome
from .totals import CONFIDENCE, Summary

if TYPE_CHECKING:
    from jinja2 import Environment

SIDE = 160  # pixels of a thumbnail's longer side
SHOWN = 5  # guesses told of a mistake
# Bytes of a file's name that are not UTF-8, and what no message would contain either, shown as what they are.
_UNSHOWABLE = {code: f"\\x{code & 0xFF:02x}" for code in range(0xDC80, 0xDD00)} | {
    code: text for code, text in CONTROLS.items() if chr(code) not in "\t\n"
}


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
    text = _render(summary, dataset, findings).translate(_UNSHOWABLE)
    write_atomically(path, [text.encode("utf-8", "backslashreplace")], DatasetError)


def _render(summary: Summary, dataset: Dataset, findings: Findings) -> str:
    def name(index: int) -> Named:
        label = dataset.wnids[index]
        return Named(dataset.names[index], "" if label == dataset.names[index] else label)

    return (
        _environment()
        .get_template("page.html.j2")
        .render(
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
            version=__version__,
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number="{:,}".format, duration=_tell_duration)
    return environment


def _tell_duration(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


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
