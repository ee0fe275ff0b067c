"""The page of an evaluation: what a run over a list of images has found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from ..datasets.data_file import Dataset
from ..datasets.samples import Sample
from ..errors import DatasetError
from ..evaluation.findings import Findings, study
from ..evaluation.outcome import Outcome
from ..evaluation.totals import Summary
from ..files import write_atomically
from .evaluation_charts import draw_shares
from .findings import Look, show_findings
from .render import render


def save_page(
    path: str,
    summary: Summary,
    dataset: Dataset,
    samples: Sequence[Sample],
    outcomes: Iterable[Outcome],
    look: Look | None = None,
) -> None:
    """Write the page that shows what a run has found.

    Parameters
    ----------
    path : str
        Of the page; a file that is there is replaced.
    summary : Summary
    dataset : Dataset
        The classes' names, and where the images of the list are looked for.
    samples : sequence of Sample
        The list.
    outcomes : iterable of Outcome
        In list order, each once; they are not kept. Some may be missing, where the run is not complete.
    look : callable, optional
        Draws a picture's heatmap for the class of that index; returns None where it cannot.

    Raises
    ------
    DatasetError
        Where the file cannot be written.
    """
    findings = study(samples, outcomes, dataset.classes, summary.totals.top)
    write_atomically(path, [_render(summary, dataset, findings, look)], DatasetError)


def _render(summary: Summary, dataset: Dataset, findings: Findings, look: Look | None) -> bytes:
    return render(
        "evaluation.html.j2",
        summary=summary,
        network=PurePath(summary.cfg).stem,
        settling=draw_shares(findings.points, summary.totals.top) if findings.points else None,
        **show_findings(findings, summary.totals, dataset, look),
    )
