"""Working through a list of images: here or on a cluster, into a journal, telling of it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cache import make_folder
from ..engines import core_count
from ..errors import ClusterError, DarknetWarning, one_line
from ..files import resolve
from ..interrupt import Stop
from ..report import LINES, flush_lines
from .model import Operands

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..datasets.samples import Sample
    from ..evaluation.job import Job
    from ..evaluation.outcome import Outcome
    from ..evaluation.totals import Totals
    from ..runs.journal import Journal


@dataclass(frozen=True)
class Setup:
    """What a run works with.

    Attributes
    ----------
    args : argparse.Namespace
    operands : Operands
    network : Classifier
    source : str
        The list.
    samples : sequence of Sample
        Its images, as many as are asked for.
    job : Job
    """

    args: argparse.Namespace
    operands: Operands
    network: Classifier
    source: str
    samples: Sequence[Sample]
    job: Job


def open_run_journal(setup: Setup) -> Journal[Outcome]:
    """The journal that is asked for, or the usual one in the cache; a passing one where that cannot be written."""
    from ..evaluation.outcome import OutcomeForm
    from ..runs.journals import open_journal, open_scratch, remove_old, usual_path

    args, operands, job = setup.args, setup.operands, setup.job
    measured = job.describe(setup.samples)
    form = OutcomeForm(len(setup.samples), setup.network.dataset.classes, job.keep, job.shown)
    if args.journal:
        return _tell_start(open_journal(args.journal, measured, form, args.resume), args.resume)
    names = (operands.data, operands.cfg, operands.weights, setup.source)
    settings = (args.match, job.preprocess, job.engine, job.precision, job.keep, args.limit, args.shard)
    path = usual_path(args.command, names, settings)
    try:
        make_folder(path.parent)
        writable = os.access(path.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        tell_warning(f"{path.parent}: no journal can be kept there; this run cannot be taken up again")
        return open_scratch(measured, form)
    remove_old(path.parent, path)
    return _tell_start(open_journal(str(path), measured, form, args.resume, replace=True), args.resume)


def _tell_start(journal: Journal[Outcome], resume: bool) -> Journal[Outcome]:
    """Say what a run begins with, where that may not be what was meant."""
    if journal.replaced:
        say(f"{journal.file}: {journal.replaced}")
    if journal.damaged:
        say(f"{journal.file}: {journal.damaged} damaged lines are passed over; their images are measured again")
    if resume and not journal.done:
        say(f"{journal.file}: nothing to go on with: no image is done with these files and options; all are measured")
    return journal


def work(setup: Setup, journal: Journal[Outcome], totals: Totals, stop: Stop) -> None:
    """Measure what is missing, print darknet's lines or show a bar, and count."""
    args, samples, names = setup.args, setup.samples, setup.network.dataset.names
    measures = args.match is not None
    terminal = sys.stdout.isatty()
    prints = args.format == "text" and not (measures and terminal)
    with _open_bar(len(samples), hidden=prints and terminal) as bar:

        def tell() -> None:
            for outcome in journal.consecutive(totals.images):
                sample = samples[outcome.index]
                totals.add(sample, outcome)
                if outcome.error:
                    with bar.external_write_mode(sys.stderr):
                        say(f"{sample.file}: {outcome.error}")
                if prints:
                    LINES[args.command](sample, outcome, totals, names)
            flush_lines()
            if measures:
                running = f"top-1 {totals.accuracy:.2%}, top-{totals.top} {totals.accuracy_top:.2%}"
                bar.set_postfix_str(running, refresh=False)
            bar.update(journal.done - bar.n)

        tell()
        with closing(_evaluate(setup, journal)) as evaluated:
            for outcomes in evaluated:
                journal.append(outcomes)
                tell()
                if stop.signum:
                    break


def count_rest(setup: Setup, journal: Journal[Outcome], totals: Totals) -> None:
    """Count what was done beyond a gap, which a cluster leaves when it is stopped."""
    counted = totals.images
    for outcome in journal.records():
        if outcome.index >= counted:
            totals.add(setup.samples[outcome.index], outcome)


def _evaluate(setup: Setup, journal: Journal[Outcome]) -> Generator[list[Outcome], None, None]:
    """The outcomes of the images that are missing; a cluster's as they come, else in the list's order."""
    from ..datasets.samples import find_image
    from ..evaluation.evaluator import Evaluator, Pending, evaluate_here

    args, network, job = setup.args, setup.network, setup.job
    files = [sample.file for sample in setup.samples]
    pending = (
        Pending(index, files[index], os.path.abspath(find_image(files[index], network.dataset)))
        for index in journal.missing()
    )
    if args.cluster:
        with _connect(args.cluster) as client:
            from ..evaluation.cluster import Coordinator

            coordinator = Coordinator(client, job, resolve(network.file), resolve(setup.operands.weights), args.batch)
            with closing(coordinator.evaluate(list(pending))) as evaluated:
                yield from evaluated
        return
    threads = args.threads or core_count()
    workers = args.workers or threads
    evaluator = Evaluator(network, job.preprocess, job.keep, job.shown, max(1, threads // workers))
    with closing(evaluate_here(evaluator, pending, args.batch, workers)) as evaluated:
        yield from evaluated
    if network.engine == "cuda" and evaluator.running:
        say(tell_limit(evaluator.preparing, evaluator.running))


def tell_limit(preparing: float, running: float) -> str:
    """What limits the speed where a GPU runs the network; seconds are those of the threads."""
    share = preparing / (preparing + running)
    limit = "decoding" if share >= 0.5 else "the GPU"
    return f"limited by {limit}: {share:.0%} of the threads' time went into decoding and fitting, the rest to the GPU"


def _connect(address: str) -> AbstractContextManager[Any]:
    try:
        from ..evaluation.cluster import connect
    except ImportError as reason:
        help = f"needs {reason.name}: pip install distributed"
        raise ClusterError(help, option=f"--cluster {address}") from None
    return connect(address)


def _open_bar(images: int, hidden: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=images, unit="images", disable=True if hidden else None, dynamic_ncols=True)


def tell_warning(text: str) -> None:
    """A warning of the command's own."""
    warnings.warn(DarknetWarning(text), stacklevel=2)


def say(text: str) -> None:
    """A line on standard error."""
    print(f"darknet: {one_line(text)}", file=sys.stderr, flush=True)
