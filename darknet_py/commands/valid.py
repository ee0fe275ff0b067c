"""darknet classifier valid and related commands: run a network on a list of images."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datasets.data_file import find_listed
from ..errors import ClusterError, DarknetError, DatasetError, JournalError, UsageError
from ..images.fit import MODES, PREDICT_MODES, RESIZING_MODES
from ..interrupt import Stop, stop_on_signals
from ..limits import core_count
from ..report import LINES, flush_lines, print_summary
from ..streams import remark, say
from .bar import open_bar
from .model import Operands, add_engine_options, add_style, open_model, positive, split_operands
from .target import check_target, spare

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..datasets.data_file import Dataset
    from ..datasets.samples import Sample
    from ..evaluation.crews import Crew
    from ..evaluation.job import Job
    from ..evaluation.outcome import Outcome
    from ..evaluation.totals import Summary, Totals
    from ..images import Picture
    from ..runs.journal import Journal

USAGE = "[DATA] CFG WEIGHTS [LIST]"
LOOK_SIDE = 320  # pixels of the longer side of a picture that shows where the network looked
EPILOG = """\
DATA is a .data file, or a folder with imagenet1k.data in it (default: ImageNet's 1000 classes). NAME alone stands
for CFG and WEIGHTS: a network that comes with the program. LIST is a file with one path a line, or a folder of
images (default: what the .data file names).
"""


@dataclass(frozen=True)
class Usual:
    """A command's defaults.

    Attributes
    ----------
    preprocess : str
        How images are fitted.
    lists : sequence of str
        The options of the .data file that may name the images; the first one present is used.
    shown : int, optional
        How many of the first classes' probabilities it prints; None: all.
    only_leaves : bool
        Whether it leaves out the classes that others are a kind of, as the best guess would be one of them.
    measures : bool
        Whether it counts right answers, rather than only listing answers.
    """

    preprocess: str
    lists: Sequence[str]
    shown: int | None = 0
    only_leaves: bool = True
    measures: bool = True


COMMANDS = {
    "valid": Usual("center-crop", ("valid",), 2),
    "validfull": Usual("shorter", ("valid",)),
    "valid10": Usual("ten-crop", ("valid",)),
    "validmulti": Usual("multi", ("valid",)),
    "validcrop": Usual("stretch", ("valid",)),
    "label": Usual("resize-crop", ("test", "valid"), measures=False),
    "csv": Usual("letterbox", ("test", "valid"), measures=False),
    "fout": Usual("resize-crop", ("test", "valid"), None, only_leaves=False, measures=False),
    "test": Usual("stretch", ("test", "valid"), None, only_leaves=False, measures=False),
}


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
        Its images, or those that --limit and --shard leave.
    job : Job
    """

    args: argparse.Namespace
    operands: Operands
    network: Classifier
    source: str
    samples: Sequence[Sample]
    job: Job


def add_valid(parser: argparse.ArgumentParser) -> None:
    """The options of all these commands, then those of the commands that measure."""
    from ..evaluation.crews import BATCH

    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, and on which images")
    parser.add_argument(
        "-t", "--top", type=positive, metavar="N", help="guesses that count (default: the .data file's)"
    )
    parser.add_argument(
        "--preprocess",
        choices=MODES,
        help="how images are fitted (default: as darknet does; of valid preprocess= of the .data file)",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    parser.add_argument("--shard", type=shard, metavar="I/N", default=(1, 1), help="every N-th image from the I-th on")
    parser.add_argument("--batch", type=positive, metavar="N", default=BATCH, help="images at a time (%(default)s)")
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="threads that work on images (default: one a core)"
    )
    parser.add_argument(
        "--cluster", type=cluster, metavar="ADDRESS", help="work on a dask cluster, or with local:N in N processes here"
    )
    parser.add_argument("--save", metavar="FILE", help="write a record for each image (.jsonl or .csv)")
    parser.add_argument("--journal", metavar="FILE", help="the journal of what is done (default: in the cache)")
    parser.add_argument("--resume", action="store_true", help="go on with the journal of an earlier run")
    add_style(parser)
    add_engine_options(parser)
    parser.epilog = EPILOG
    if not COMMANDS[parser.get_default("command")].measures:
        parser.set_defaults(match=None, format="text", report=None)
        return
    parser.add_argument(
        "--match",
        choices=("words", "substring"),
        default="words",
        help="how a path tells its class: by a label that is the name of its class's folder, or a word of its name or "
        "its folder's, or, as darknet does, by the first label anywhere in it (default: %(default)s)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--report", metavar="FILE", help="write a page to look at (.html)")


def cluster(text: str) -> str:
    """The argument ``HOST:PORT`` or ``local:N``."""
    from ..evaluation.crews import ADDRESS, is_address

    if not is_address(text):
        raise argparse.ArgumentTypeError(f"{text}: {ADDRESS}")
    return text


def shard(text: str) -> tuple[int, int]:
    """The argument ``I/N``."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text}: I/N is expected, I from 1 to N")
    return int(part), int(parts)


def run_valid(args: argparse.Namespace) -> int:
    """Measure, or list answers; return 3 where some images do not count, 1 where none does."""
    from ..evaluation.loop import count_rest
    from ..evaluation.totals import Summary, Totals
    from ..runs.progress import Progress

    setup = _set_up(args)
    totals = Totals(setup.network.dataset.top)
    start = time.perf_counter()
    failure = None
    with _open_journal(setup) as journal, stop_on_signals() as stop:
        before = journal.done
        try:
            _follow(setup, journal, totals, stop)
        except (ClusterError, JournalError) as reason:
            if not journal.done:
                raise
            failure = reason
        count_rest(setup.samples, journal, totals)
        operands, seconds = setup.operands, time.perf_counter() - start
        progress = Progress(totals.images, len(setup.samples), journal.done - before, seconds)
        named = operands.cfg, operands.weights, setup.network.dataset.file
        summary = Summary(setup.job, *named, totals, progress)
        if args.match:
            print_summary(summary, args.format)
        else:
            remark(f"{totals.images} images, {totals.unreadable} unreadable; {summary.pace}")
        if failure:
            raise failure
        if stop.signum:
            say(f"stopped: {journal.state}")
            return stop.exit_code
        _save(setup, summary, journal, stop)
    if totals.counted == totals.images:
        return 0
    return 3 if totals.counted else 1


def _open_journal(setup: Setup) -> Journal[Outcome]:
    """Open the journal that --journal names, or the usual one in the cache; say what may not have been intended."""
    from ..evaluation.outcome import OutcomeForm
    from ..runs.journals import open_journal, open_usual, usual_path

    args, operands, job = setup.args, setup.operands, setup.job
    measured = job.describe(setup.samples, setup.network.dataset)
    form = OutcomeForm(len(setup.samples), setup.network.dataset.classes, job.keep, job.shown)
    if args.journal is not None:
        journal = open_journal(args.journal, measured, form, args.resume)
    else:
        names = (operands.data, operands.cfg, operands.weights, setup.source)
        how = (job.preprocess, job.engine, job.precision, job.dialect)
        settings = (args.match, *how, job.keep, args.limit, args.shard)
        journal = open_usual(usual_path(args.command, names, settings), measured, form, args.resume)
    if journal.replaced:
        remark(f"{journal.file}: {journal.replaced}")
    if journal.damage:
        say(f"{journal.file}: {journal.damage}")
    if journal.lasts and args.resume and not journal.done:
        say(f"{journal.file}: nothing to go on with: no image is done with these files and options; all are measured")
    return journal


def _follow(setup: Setup, journal: Journal[Outcome], totals: Totals, stop: Stop) -> None:
    """Measure the images, print darknet's lines or show a bar, and add up the totals."""
    from ..evaluation.loop import run_job

    args, network, samples = setup.args, setup.network, setup.samples
    measures = args.match is not None
    terminal = sys.stdout.isatty()
    prints = args.format == "text" and not (measures and terminal)
    crew = _make_crew(args)
    with (
        open_bar(len(samples), hidden=prints and terminal) as bar,
        closing(run_job(network, samples, setup.job, totals.top, crew, journal)) as running,
    ):
        for progress in running:
            for outcome in progress.outcomes:
                sample = samples[outcome.index]
                totals.add(sample, outcome)  # one by one, as each line prints the totals so far
                if outcome.error:
                    with bar.external_write_mode(sys.stderr):
                        say(f"{sample.file}: {outcome.error}")
                if prints:
                    LINES[args.command](sample, outcome, totals, network.dataset.names)
            flush_lines()
            if measures:
                settled = f"top-1 {totals.accuracy:.2%}, top-{totals.top} {totals.accuracy_top:.2%}"
                bar.set_postfix_str(settled, refresh=False)
            bar.update(progress.done - bar.n)
            if stop.signum:
                return
        if network.engine == "cuda":
            _tell_limit(crew)


def _make_crew(args: argparse.Namespace) -> Crew:
    from ..evaluation.crews import Cluster, Threads

    if args.cluster:
        return Cluster(args.cluster, args.batch)
    threads = args.threads or core_count()
    return Threads(args.batch, args.workers or threads, threads)


def _tell_limit(crew: Crew) -> None:
    """Say what limited the speed where a GPU of this machine ran the network."""
    from ..evaluation.crews import Threads

    if not isinstance(crew, Threads) or not crew.running:
        return
    share = crew.preparing / (crew.preparing + crew.running)
    limit = "decoding" if share >= 0.5 else "the GPU"
    what = f"{share:.0%} of the threads' time went into decoding and fitting, the rest to the GPU"
    remark(f"limited by {limit}: {what}")


def _save(setup: Setup, summary: Summary, journal: Journal[Outcome], stop: Stop) -> None:
    """Write the files that --save and --report ask for."""
    args, dataset, samples = setup.args, setup.network.dataset, setup.samples
    if args.save:
        from ..evaluation.results import save_results

        save_results(args.save, summary.totals.top, dataset, samples, journal.records())
    if args.report:
        from ..pages.evaluation import save_page

        save_page(args.report, summary, dataset, samples, journal.records(), _make_look(setup, stop))


def _make_look(setup: Setup, stop: Stop) -> Callable[[Picture, int], Picture | None]:
    """Make the function that draws where the network looked; once the run is to stop, it draws nothing."""
    from ..images.draw import heat, shrink

    told: list[str] = []
    asked = setup.job.preprocess if setup.job.preprocess in PREDICT_MODES else None

    def look(picture: Picture, index: int) -> Picture | None:
        if stop.signum:
            return None
        if not told:  # not before the first, as there may be none
            told.append(f"{setup.args.report}: where the network looked is drawn for its worst mistakes")
            remark(f"{told[0]}; Ctrl-C leaves out the rest")
        try:
            mode = setup.network.usual_mode(picture) if asked == "shorter" else asked
            heatmap = setup.network.heatmap(picture, None, index, mode)
        except DarknetError:  # it has no plane, or no gradient
            return None
        small = shrink(picture, LOOK_SIDE)
        return heat(small, heatmap.spread(small.shape[1], small.shape[0]))

    return look


def _set_up(args: argparse.Namespace) -> Setup:
    """Find and load all that the command line names."""
    operands = split_operands(args.operands, USAGE)
    if args.cluster and (args.workers or args.threads):
        raise UsageError("--workers and --threads are of this machine; a cluster's workers have threads of their own")
    if args.workers and args.threads and args.workers > args.threads:
        raise UsageError(
            f"more than --threads {args.threads}; each works on its own", option=f"--workers {args.workers}"
        )
    if len(operands.rest) > 1:
        raise UsageError(f"{operands.rest[1]}: one LIST is expected, a file with one path a line or a folder")
    inputs = [operands.cfg, operands.weights, operands.data, *operands.rest, *([args.journal] if args.journal else [])]
    check_target("--save", args.save, (".jsonl", ".csv"), inputs)
    check_target("--report", args.report, (".html",), inputs)
    network = open_model(operands, args)
    spare("--save", args.save, network.dataset.files)
    spare("--report", args.report, network.dataset.files)
    source = operands.rest[0] if operands.rest else _find_list(network.dataset, COMMANDS[args.command].lists)
    samples = _load_samples(source, network.dataset, args)
    return Setup(args, operands, network, source, samples, _make_job(args, network))


def _find_list(dataset: Dataset, keys: Sequence[str]) -> str:
    for key in keys:
        if key in dataset.lists:
            path = dataset.lists[key]
            if not find_listed(path, dataset.path).exists():
                reason = "no such file; scripts/imagenet_label.sh makes ImageNet's, or name a list after the weights"
                raise DatasetError(reason, file=dataset.file, option=f"{key}={path}")
            return path
    reason = f"{keys[0]}= is missing: the list of images; name it there, or after the weights"
    raise DatasetError(reason, file=dataset.file)


def _load_samples(source: str, dataset: Dataset, args: argparse.Namespace) -> list[Sample]:
    """The images of the list that --limit and --shard leave."""
    from ..datasets.lists import load_list, take_part
    from ..datasets.samples import make_samples

    paths = take_part(load_list(source, dataset), args.limit, args.shard)
    if not paths:
        raise DatasetError(f"no image of it is in --shard {'/'.join(map(str, args.shard))}", file=source)
    return make_samples(paths, dataset, args.match, source)


def _make_job(args: argparse.Namespace, network: Classifier) -> Job:
    from ..evaluation.job import make_job
    from ..evaluation.loop import GUESSES

    usual, classes = COMMANDS[args.command], network.dataset.classes
    keep = min(max(network.dataset.top, GUESSES), classes)
    mode = args.preprocess or (args.command == "valid" and network.dataset.preprocess) or usual.preprocess
    if mode in RESIZING_MODES and not network.resizable:
        if args.preprocess or mode != "shorter":
            reason = f"{mode} runs the network at other sizes, which {network.file} does not allow"
            raise UsageError(reason, option=f"--preprocess {mode}" if args.preprocess else args.command)
        mode = "letterbox"  # as predict does
    shown = classes if usual.shown is None else min(usual.shown, classes)
    return make_job(args.command, network, mode, keep, shown, usual.only_leaves)
