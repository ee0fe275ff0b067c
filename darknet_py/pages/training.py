"""The page of a training run: the course of its figures, and what its best weights get wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from ..datasets.data_file import Dataset
from ..datasets.samples import Sample
from ..errors import DarknetError, TrainingError
from ..evaluation.findings import Tally
from ..evaluation.loop import EvaluationProgress
from ..files import write_atomically
from ..training.history import History
from ..training.options import TrainingOptions
from ..training.trainer import TrainingProgress
from .findings import CONFIDENT, show_findings
from .render import render
from .training_charts import draw_losses, draw_rates, draw_scores

OFTEN = 60.0  # seconds after which the page is written again, besides after validations


@dataclass(frozen=True)
class TrainingFacts:
    """What the page says about a run besides its figures.

    Attributes
    ----------
    name, cfg, weights, data : str
        Its name, and its files: the weights are the best, or without validation the last.
    options : TrainingOptions
    images : int
        How many are trained on.
    """

    name: str
    cfg: str
    weights: str
    data: str
    options: TrainingOptions
    images: int


class TrainingPage:
    """The page, which is complete at any time; a context manager that writes it at the end, even after an error.

    Parameters
    ----------
    path : str
        Of the page; a file that is there is replaced.
    facts : TrainingFacts
    dataset : Dataset
        The classes' names, and where the images are looked for.
    validation : sequence of Sample
        May be empty.

    Attributes
    ----------
    history : History
        What it shows; `add` sets it, and where a run is resumed, the caller sets it before.

    Raises
    ------
    TrainingError
        Where it cannot be written.
    """

    def __init__(
        self,
        path: str,
        facts: TrainingFacts,
        dataset: Dataset,
        validation: Sequence[Sample],
    ) -> None:
        self.path, self.facts, self.dataset, self.validation = path, facts, dataset, validation
        self.history = History()
        self._tally = self._new_tally()
        self._best: dict[str, object] = {"best": 0, "confidence": CONFIDENT}
        self._written = time.monotonic()

    def __enter__(self) -> TrainingPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*[DarknetError] * (kind is not None)):  # the error that ended the run says more
            self.write()

    def add(self, progress: TrainingProgress) -> None:
        """Take in the progress of a run; this must be called with each one, in order."""
        self.history, validation = progress.history, progress.validation
        due = time.monotonic() - self._written > OFTEN
        if validation is not None:
            best = progress.best_iteration == progress.iteration
            self.look(validation, progress.iteration if best else 0)
            due |= validation.complete
        if due:
            self.write()

    def look(self, validation: EvaluationProgress, best: int) -> None:
        """Take in the progress of a validation; `best` is the iteration of its weights if they are the best, else 0."""
        if validation.totals.images == len(validation.outcomes):  # the validation begins
            self._tally = self._new_tally()
        for outcome in validation.outcomes:
            self._tally.add(outcome)
        if best and validation.complete:
            self._best = {"best": best, **show_findings(self._tally.study(), validation.totals, self.dataset)}

    def write(self) -> None:
        """Write the page, unless there is nothing to show."""
        iterations, scores = self.history.iterations.rows, self.history.scores.rows
        if not iterations:
            return
        span = iterations[0].number - 1, iterations[-1].number
        page = render(
            "training.html.j2",
            facts=self.facts,
            validated=len(self.validation),
            last=iterations[-1],
            every=self.history.iterations.every,
            losses=draw_losses(iterations, span),
            rates=draw_rates(iterations, span),
            scores=draw_scores(scores, self.dataset.top, span) if scores else None,
            top=self.dataset.top,
            **self._best,
        )
        write_atomically(self.path, [page], TrainingError)
        self._written = time.monotonic()

    def _new_tally(self) -> Tally:
        return Tally(self.validation, self.dataset.classes, self.dataset.top)
