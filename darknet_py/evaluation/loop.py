"""The loop that measures a network on a list of images, for other programs and for the commands."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from operator import index
from typing import SupportsIndex

from ..classifier import Classifier
from ..datasets.lists import find_image
from ..datasets.samples import Sample, check_samples
from ..errors import DarknetWarning, DatasetError, UsageError
from ..images.fit import MODES, RESIZING_MODES
from ..limits import core_count
from ..runs.journal import Journal
from ..runs.journals import open_journal, open_scratch
from ..runs.progress import Progress
from .crews import BATCH, Crew, Threads
from .evaluator import Pending
from .job import Job, make_job
from .outcome import Outcome, OutcomeForm
from .totals import Totals

GUESSES = 5  # how many are kept of each image, unless more are asked for
TOLD = 256  # outcomes yielded at a time, at most, however many a journal has


@dataclass(frozen=True)
class EvaluationProgress(Progress):
    """How far an evaluation has come; its units are images.

    Attributes
    ----------
    outcomes : sequence of Outcome
        The new ones, in the samples' order and without gaps; now and then none.
    totals : Totals
        Of all outcomes so far; ``totals.figures()`` has the shares of right answers, with intervals.
    """

    outcomes: Sequence[Outcome]
    totals: Totals

    @property
    def complete(self) -> bool:
        """Whether `totals` are of all images: the outcomes that a journal has are yielded in parts."""
        return self.totals.images == self.total


def evaluate(
    network: Classifier,
    samples: Sequence[Sample],
    *,
    preprocess: str | None = None,
    top: int | None = None,
    batch: int = BATCH,
    workers: int | Crew | None = None,
    threads: int | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> Generator[EvaluationProgress, None, None]:
    """Measure a network on images whose classes are known.

    This is an iterator that works only while the next item is asked for; it may be abandoned, or closed, at any time.

    Parameters
    ----------
    network : Classifier
        With weights. Its dataset says where the images are looked for.
    samples : sequence of Sample
        As `load_samples` gives them.
    preprocess : str, optional
        How images are fitted: one of `images.fit.MODES`. Where absent, as the network's dataset says, or else
        ``center-crop``.
    top : int, optional
        How many guesses count for the second figure; where absent, as many as the network's dataset says.
    batch : int
        Images at a time.
    workers : int or Crew, optional
        How many threads work, each on images of its own; where absent, as many as `threads`. Or a crew that does the
        work, such as a `Cluster`.
    threads : int, optional
        Of the CPU, for all workers together; one for each core where absent.
    journal : path, optional
        A file that records what is done, from which a later call with the same network, samples and options goes on.

    Yields
    ------
    EvaluationProgress
        First what the journal has, then whatever is new.

    Raises
    ------
    UsageError, DatasetError
        At the call, where an argument makes no sense.
    WeightsError
        At the call, with a journal or a cluster, where the weights file cannot be read any more, or changed.
    JournalError, ClusterError
        Where the journal is of something else or cannot be written, or the cluster fails.
    """
    classes = network.dataset.classes
    top = network.dataset.top if top is None else top
    _check_samples(samples, classes)
    for name, value in (("top", top), ("batch", batch), ("workers", workers), ("threads", threads)):
        if not isinstance(value, SupportsIndex):
            if name in ("top", "batch") or (name == "threads" and value is not None):
                raise UsageError(f"{name}={value!r}: a whole number is expected")
        elif index(value) < 1:
            raise UsageError(f"{name}={value}: at least 1 is expected")
    if top > classes:
        raise UsageError(f"top={top}: at most {classes} is expected, one for each class")
    preprocess = preprocess or network.dataset.preprocess or "center-crop"
    if preprocess not in MODES:
        raise UsageError(f"preprocess={preprocess}: one of {', '.join(MODES)} is expected")
    if preprocess in RESIZING_MODES and not network.resizable:
        raise UsageError(
            f"preprocess={preprocess}: runs the network at other sizes, which {network.file} does not allow"
        )
    if not network.engine:
        raise UsageError("no weights were loaded, so it cannot run", file=network.file)
    if workers is None or isinstance(workers, SupportsIndex):
        threads = threads or core_count()
        workers = Threads(batch, threads if workers is None else index(workers), threads)
    elif not hasattr(workers, "evaluate"):
        reason = "a number of threads is expected, or who does the work, such as a Cluster"
        raise UsageError(f"workers={workers!r}: {reason}")
    passing = journal is None and isinstance(workers, Threads)
    job = make_job("evaluate", network, preprocess, min(max(top, GUESSES), classes), 0, passing=passing)
    return _evaluate(network, samples, job, top, workers, None if journal is None else os.fspath(journal))


def _check_samples(samples: Sequence[Sample], classes: int) -> None:
    """Raise an error unless these can be samples of a dataset with `classes` classes."""
    if not samples:
        raise DatasetError("no samples; at least one is expected")
    check_samples(samples)
    for sample in samples:
        if sample.truth >= classes:
            reason = f"is of class {sample.truth}, but the network has {classes}; load the samples with its dataset"
            raise DatasetError(reason, file=sample.file)
    if classes > 1 and all(sample.truth < 0 for sample in samples):  # a single class may be absent from all images
        first = samples[0]
        doubt = first.doubt or "load_samples(match='words') finds classes, Sample(file, truth) names them"
        raise DatasetError(f"no sample's class is known, e.g. {first.file}: {doubt}")


def _evaluate(
    network: Classifier, samples: Sequence[Sample], job: Job, top: int, crew: Crew, file: str | None
) -> Generator[EvaluationProgress, None, None]:
    form = OutcomeForm(len(samples), network.dataset.classes, job.keep, job.shown)
    measured = job.describe(samples, network.dataset)
    with open_scratch(measured, form) if file is None else open_journal(file, measured, form, resume=True) as journal:
        if journal.damage:
            warnings.warn(DarknetWarning(f"{file}: {journal.damage}"), stacklevel=2)
        with closing(run_job(network, samples, job, top, crew, journal)) as running:
            yield from running


def run_job(
    network: Classifier, samples: Sequence[Sample], job: Job, top: int, crew: Crew, journal: Journal[Outcome]
) -> Generator[EvaluationProgress, None, None]:
    """Let `crew` measure what `journal` lacks, append it there, and yield the progress: `evaluate` for a given job."""
    start, before, totals = time.perf_counter(), journal.done, Totals(top)

    def tell() -> Generator[EvaluationProgress, None, None]:
        """Yield the new outcomes up to the first gap."""
        told = TOLD
        while told == TOLD:
            outcomes = list(islice(journal.consecutive(totals.images), TOLD))
            told = len(outcomes)
            for outcome in outcomes:
                totals.add(samples[outcome.index], outcome)
            seconds = time.perf_counter() - start
            fresh = journal.done - before
            yield EvaluationProgress(journal.done, len(samples), fresh, seconds, outcomes, replace(totals))

    if journal.done:
        yield from tell()
    dataset = network.dataset
    pending = (
        Pending(place, samples[place].file, os.path.abspath(find_image(samples[place].file, dataset)))
        for place in journal.missing()
    )
    with closing(crew.evaluate(network, job, pending)) as evaluated:
        for outcomes in evaluated:
            journal.append(outcomes)
            yield from tell()


def count_rest(samples: Sequence[Sample], journal: Journal[Outcome], totals: Totals) -> None:
    """Count the outcomes beyond the first gap; a cluster that is stopped leaves gaps."""
    for outcome in journal.records(totals.images):
        totals.add(samples[outcome.index], outcome)
