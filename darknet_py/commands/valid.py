"""darknet classifier valid and its relatives: a network on a list of images."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..datasets.data_file import find_listed
from ..errors import ClusterError, DatasetError, JournalError, UsageError
from ..images.fit import MODES, RESIZING_MODES
from ..interrupt import stop_on_signals
from ..report import STYLES, print_summary
from .evaluate import Setup, count_rest, open_run_journal, say, tell_warning, work
from .model import Operands, add_engine_options, open_model, positive, split_operands

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..datasets.data_file import Dataset
    from ..datasets.samples import Sample
    from ..evaluation.job import Job
    from ..evaluation.outcome import Outcome
    from ..evaluation.totals import Summary
    from ..runs.journal import Journal

USAGE = "[DATA] CFG WEIGHTS [LIST]"
EPILOG = """\
DATA is a .data file, or a folder with imagenet1k.data in it (default: ImageNet's 1000 classes). NAME alone stands
for CFG and WEIGHTS: a network that comes with the program. LIST is a file with one path a line, or a folder of
images (default: what the .data file names).
"""
GUESSES = 5  # that are kept of each image, or as many as are asked for
BATCH = 8


@dataclass(frozen=True)
class Usual:
    """What a command does where it is not told otherwise.

    Attributes
    ----------
    preprocess : str
        How images are fitted.
    lists : sequence of str
        The options of the .data file that may name the images; the first that is there counts.
    shown : int, optional
        Of how many of the first classes it prints the probabilities; None: of all.
    measures : bool
        Whether right answers are counted, or answers only listed.
    """

    preprocess: str
    lists: Sequence[str]
    shown: int | None = 0
    measures: bool = True


COMMANDS = {
    "valid": Usual("center-crop", ("valid",), 2),
    "validfull": Usual("shorter", ("valid",)),
    "valid10": Usual("ten-crop", ("valid",)),
    "validmulti": Usual("multi", ("valid",)),
    "validcrop": Usual("stretch", ("valid",)),
    "label": Usual("resize-crop", ("test", "valid"), measures=False),
    "csv": Usual("letterbox", ("test", "valid"), measures=False),
    "fout": Usual("resize-crop", ("test", "valid"), None, measures=False),
}


def add_valid(parser: argparse.ArgumentParser) -> None:
    """The options of all these commands, and of those that measure."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, and on which images")
    parser.add_argument(
        "-t", "--top", type=positive, metavar="N", help="guesses that count (default: the .data file's)"
    )
    parser.add_argument("--preprocess", choices=MODES, help="how images are fitted (default: as darknet does)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    parser.add_argument("--shard", type=shard, metavar="I/N", default=(1, 1), help="every N-th image from the I-th on")
    parser.add_argument("--batch", type=positive, metavar="N", default=BATCH, help="images at a time (%(default)s)")
    parser.add_argument("--workers", type=positive, metavar="N", help="images are worked on by N threads (one a core)")
    parser.add_argument(
        "--cluster", type=cluster, metavar="ADDRESS", help="work on a dask cluster, or, local:N, on N processes here"
    )
    parser.add_argument("--save", metavar="FILE", help="write a record for each image (.jsonl or .csv)")
    parser.add_argument("--journal", metavar="FILE", help="keep what is done there (default: in the cache)")
    parser.add_argument("--resume", action="store_true", help="go on with the journal of an earlier run")
    parser.add_argument("--style", choices=STYLES, default="lines", help="of the listing: darknet's of 2016 or of 2018")
    add_engine_options(parser)
    parser.epilog = EPILOG
    if not COMMANDS[parser.get_default("command")].measures:
        parser.set_defaults(match=None, format="text", report=None)
        return
    parser.add_argument(
        "--match",
        choices=("words", "substring"),
        default="words",
        help="how a path tells its class: by a label that is a word of its name or its folder's, or, as darknet does, "
        "by the first label anywhere in it (default: %(default)s)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--report", metavar="FILE", help="write a page to look at (.html)")


def cluster(text: str) -> str:
    """The argument ``HOST:PORT`` or ``local:N``."""
    if not re.fullmatch(r"(\w+://)?[^/]+:0*[1-9]\d*", text) or text.startswith("http"):
        raise argparse.ArgumentTypeError(f"{text}: HOST:PORT of a scheduler is expected, or local:N for N workers here")
    return text


def shard(text: str) -> tuple[int, int]:
    """The argument ``I/N``."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text}: I/N is expected, I from 1 to N")
    return int(part), int(parts)


def run_valid(args: argparse.Namespace) -> int:
    """Measure, or list answers; 3 where some images do not count, 1 where none does."""
    from ..evaluation.totals import Summary, Totals

    setup = _set_up(args)
    totals = Totals(setup.network.dataset.top)
    start = time.perf_counter()
    failure = None
    with open_run_journal(setup) as journal, stop_on_signals() as stop:
        before = journal.done
        try:
            work(setup, journal, totals, stop)
        except (ClusterError, JournalError) as reason:
            if not journal.done:
                raise
            failure = reason
        count_rest(setup, journal, totals)
        operands, seconds, measured = setup.operands, time.perf_counter() - start, journal.done - before
        named = operands.cfg, operands.weights, setup.network.dataset.file
        summary = Summary(setup.job, *named, len(setup.samples), totals, seconds, measured)
        if args.match:
            print_summary(summary, args.format)
        else:
            say(f"{totals.images} images, {totals.unreadable} unreadable; {summary.pace}")
        if failure:
            raise failure
        if stop.signum:
            say(f"stopped: {journal.state}")
            return stop.exit_code
        _save(setup, summary, journal)
    if totals.counted == totals.images:
        return 0
    return 3 if totals.counted else 1


def _save(setup: Setup, summary: Summary, journal: Journal[Outcome]) -> None:
    """Write the files that are asked for."""
    args, dataset, samples = setup.args, setup.network.dataset, setup.samples
    if args.save:
        from ..evaluation.results import save_results

        save_results(args.save, summary.totals.top, dataset, samples, journal.records())
    if args.report:
        from ..pages.evaluation import save_page

        save_page(args.report, summary, dataset, samples, journal.records())


def _set_up(args: argparse.Namespace) -> Setup:
    """Find and load all that the command line names."""
    from ..evaluation.results import check_target

    operands = split_operands(args.operands)
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
    source = operands.rest[0] if operands.rest else _find_list(network.dataset, COMMANDS[args.command].lists)
    samples = _load_samples(source, network.dataset, args)
    return Setup(args, operands, network, source, samples, _make_job(args, network, operands))


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
    """The images of the list that are asked for; warnings of what is odd about them."""
    from ..datasets.samples import Sample, count_repeated, label_samples, load_list, take_part

    paths = take_part(load_list(source, dataset), args.limit, args.shard)
    if not paths:
        raise DatasetError(f"no image of it is in --shard {'/'.join(map(str, args.shard))}", file=source)
    repeated = count_repeated(paths)
    if repeated:
        tell_warning(f"{source}: {repeated} of {len(paths)} paths repeat others; they count each time")
    if args.match is None:
        return [Sample(path) for path in paths]
    samples = label_samples(paths, dataset.wnids, args.match)
    doubtful = [sample for sample in samples if sample.doubt]
    if len(doubtful) == len(samples):
        reason = f"no image's class is known, e.g. {samples[0].file}: {samples[0].doubt}"
        raise DatasetError(f"{reason}; labels are such as {dataset.wnids[0]}", file=source)
    if doubtful:
        first = doubtful[0]
        tell_warning(f"{source}: {len(doubtful)} images do not count, e.g. {first.file}: {first.doubt}")
    return samples


def _make_job(args: argparse.Namespace, network: Classifier, operands: Operands) -> Job:
    from ..evaluation.job import make_job

    usual, classes = COMMANDS[args.command], network.dataset.classes
    keep = min(max(network.dataset.top, GUESSES), classes)
    mode = args.preprocess or usual.preprocess
    if mode in RESIZING_MODES and not network.resizable:
        if args.preprocess or mode != "shorter":
            reason = f"{mode} runs the network at other sizes, which {network.file} does not allow"
            raise UsageError(reason, option=f"--preprocess {mode}" if args.preprocess else args.command)
        mode = "letterbox"  # as predict
    shown = classes if usual.shown is None else min(usual.shown, classes)
    files = operands.cfg, operands.weights
    return make_job(args.command, mode, network.engine, args.precision, *files, keep, shown)
