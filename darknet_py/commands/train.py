"""darknet classifier train: train a network on pictures whose classes are known."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines import ENGINES
from ..errors import CfgError, DatasetError, UsageError
from ..files import read_bytes, resolve
from ..interrupt import Stop, stop_on_signals
from ..limits import core_count
from ..networks import IMAGENET, find_cfg
from ..report import print_training, print_training_start, tell_scores
from ..streams import remark, say
from .bar import open_bar
from .model import add_dialect, add_style, index, names_data, positive, print_listing
from .target import check_target, spare
from .train_page import open_page
from .train_setup import Setup

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..training.options import TrainingOptions
    from ..training.run_files import TrainingFiles
    from ..training.source import Source
    from ..training.trainer import TrainingProgress

USAGE = "[DATA|FOLDER] CFG [WEIGHTS]"
EPILOG = """\
DATA is a .data file, whose train= lists the images (default: ImageNet's). FOLDER has a folder for each class, with its
pictures in it: classes, cfg and .data file are then made of it, and lie beside the weights. CFG is a cfg file, or the
name of a network that comes with the program. WEIGHTS are gone on with, and so are the images that they have seen.
"""
SHOWN = 10  # items shown of a long list, and twice as many classes
PICTURES = 64  # how many --show-pictures writes
# For a cfg that says nothing about training: suits a few thousand pictures, and crops little off their edges.
RECIPE: dict[str, Any] = {
    "batch": 64,
    "learning_rate": 0.1,
    "decay": 0.0005,
    "policy": "cosine",
    "max_ratio": 1.1,
    "angle": 10.0,
    "saturation": 0.75,
    "exposure": 0.75,
    "hue": 0.1,
}
TUNING_RATE = 0.01  # where weights are given
EPOCHS = 30


def add_train(parser: argparse.ArgumentParser) -> None:
    """The options of ``classifier train``."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to train, and on what")
    parser.add_argument("-clear", "--clear", action="store_true", help="count the images seen from 0")
    parser.add_argument(
        "--epochs", type=above_0, metavar="N", help="how often all images are seen (max_batches= of CFG)"
    )
    parser.add_argument("--batch", type=positive, metavar="N", help="images in an iteration (batch=)")
    parser.add_argument(
        "--subdivisions", type=positive, metavar="N", help="parts in which a batch is computed (subdivisions=)"
    )
    parser.add_argument("--rate", type=above_0, metavar="R", help="learning rate (learning_rate=)")
    parser.add_argument("--pretrained", metavar="FILE", help="weights for the first layers, as far as they fit")
    parser.add_argument("--freeze", type=index, default=0, metavar="N", help="the first N layers do not learn")
    parser.add_argument("--valid", metavar="LIST", help="images to validate: a list, or a folder of class folders")
    parser.add_argument(
        "--holdout", type=fraction, metavar="F", help="validate on this part of the images, which is not trained on"
    )
    parser.add_argument(
        "--validate-every",
        type=positive,
        default=0,
        metavar="N",
        help="iterations between validations (default: an epoch)",
    )
    parser.add_argument(
        "--match",
        choices=("words", "substring"),
        help="how a listed path tells its class: by a label that is a word of its name or its folder's, or anywhere in "
        "it (default: words)",
    )
    parser.add_argument(
        "--sampling",
        choices=("epochs", "replacement"),
        default="epochs",
        help="each image once in an epoch, or any image at any time, as in darknet (default: %(default)s)",
    )
    parser.add_argument("--balance", action="store_true", help="all classes come equally often")
    parser.add_argument("--seed", type=index, default=0, metavar="N", help="seed of everything random (default: 0)")
    parser.add_argument(
        "--backup", metavar="DIR", help="where weights are written (default: the .data file's, or backup)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an earlier run")
    parser.add_argument("--log", metavar="FILE", help="write the figures of each iteration (.jsonl or .csv)")
    parser.add_argument("--report", metavar="FILE", help="write a page to watch, anew at each validation (.html)")
    parser.add_argument(
        "--show-pictures",
        metavar="DIR",
        help=f"write {PICTURES} pictures as training would see them, and train nothing",
    )
    add_dialect(parser)
    add_style(parser)
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what computes (default: the CPU)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: one a core)")
    parser.epilog = EPILOG


def above_0(text: str) -> float:
    """An argument that is a positive number."""
    from ..cfg import parse_number

    try:
        value = parse_number(text)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(f"{text}: {reason}") from None
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text}: more than 0 is expected")
    return value


def fraction(text: str) -> float:
    """An argument between 0 and 1."""
    value = above_0(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text}: less than 1 is expected, a part of the images")
    return value


def run_train(args: argparse.Namespace) -> int:
    """Train; return 128 + the number of a signal where one has stopped it."""
    from ..training.trainer import train

    setup = _set_up(args)
    if args.show_pictures:
        return _show_pictures(setup)
    resumed = args.resume and setup.files.checkpoint.exists()
    if args.resume and not resumed:
        say(f"{setup.files.checkpoint}: nothing to go on with; training begins anew")
    running = train(
        setup.network,
        setup.source.samples,
        setup.options,
        setup.settings,
        validation=setup.source.validation,
        files=setup.files,
        resume=resumed,
    )
    _begin(setup, resumed)
    with stop_on_signals("when this iteration is done") as stop, closing(running):
        last = _follow(setup, running, stop, resumed)
    files = setup.files
    if stop.signum:
        say(f"stopped; --resume goes on from {files.checkpoint}")
        return stop.exit_code
    if last is None:
        remark("all iterations were done before")
    elif last.best >= 0:
        remark(f"{files.best} has the best top-1, {last.best:.2%}, after {last.best_iteration}")
    else:
        remark(f"{files.last} has the weights; nothing was validated: --holdout 0.1 does")
    return 0


def _follow(setup: Setup, running: Iterable[TrainingProgress], stop: Stop, resumed: bool) -> TrainingProgress | None:
    """Train the network, and report on it."""
    last = None
    terminal = sys.stdout.isatty() and sys.stderr is not None and sys.stderr.isatty()  # where the bar is
    if not terminal:
        print_training_start(setup.files.name, len(setup.source.samples), setup.options)
    total = setup.options.max_batches * setup.options.batch
    with (
        _open_log(setup, resumed) as log,
        open_page(setup, resumed, stop) as page,
        open_bar(total, hidden=not terminal) as bar,
    ):
        for last in running:
            for record in (log, page):
                if record is not None:
                    record.add(last)
            if last.remark:
                with bar.external_write_mode(sys.stderr):
                    say(f"warning: {last.remark}")
            if terminal:
                _show(bar, last)
            else:
                print_training(last)
            if stop.signum:
                break
    return last


def _show(bar: Any, progress: TrainingProgress) -> None:
    """Show the state in the terminal's bar; a validation's result stays on a line above it."""
    if progress.validation is None:
        waiting = f", waiting {progress.waiting:.1f} s" if progress.waiting > progress.working else ""
        told = f"{progress.iteration}: loss {progress.average:.4f}, rate {progress.rate:.3g}{waiting}"
    elif progress.validation.complete:
        told = f"{progress.iteration}, {progress.epoch:.1f}: {tell_scores(progress)}"
        bar.write(told)
    else:
        told = f"{progress.iteration}: validating, {progress.validation.done} of {progress.validation.total}"
    if not bar.n:
        bar.initial = bar.n = progress.done - progress.fresh  # what earlier runs did is no measure of this one's speed
    bar.set_postfix_str(told, refresh=False)
    bar.update(progress.done - bar.n)


def _open_log(setup: Setup, resumed: bool) -> Any:
    if not setup.args.log:
        return nullcontext()
    from ..training.checkpoint import read_state
    from ..training.log import Log

    return Log(setup.args.log, read_state(setup.files.checkpoint) if resumed else None)


def _show_pictures(setup: Setup) -> int:
    """Write the first pictures that the network would be trained on."""
    from ..engines import find_warp
    from ..training.loader import Loader
    from ..training.show import show_pictures
    from ..training.trainer import make_feed

    options, settings = setup.options, setup.settings
    feed = make_feed(setup.network, setup.source.samples, options, settings)
    with Loader(
        feed, options.pass_size, 0, settings.threads or core_count(), warp=find_warp(settings.engine)
    ) as loader:
        names = setup.network.dataset.names
        written = show_pictures(setup.args.show_pictures, loader, setup.source.samples, names, PICTURES)
    remark(f"{len(written)} pictures are in {setup.args.show_pictures}; nothing was trained")
    return 0


def _begin(setup: Setup, resumed: bool) -> None:
    """Write the files other than weights; say how files that were in the way have been renamed."""
    files = setup.files
    if aside := files.begin(setup.texts, resumed):
        names = ", ".join(map(str, aside.values()))
        hint = "; --resume would have gone on with it" if files.checkpoint in aside else ""
        remark(f"what was there is kept as {names}{hint}")


def _set_up(args: argparse.Namespace) -> Setup:
    """Find, check and load all that the command line names; write nothing."""
    from ..classifier import load_network
    from ..training.run_files import TrainingFiles, check_folder
    from ..training.settings import TrainingSettings
    from ..training.source import make_model, read_data_file, read_folder
    from ..weights import choose_dialect

    _check_arguments(args)
    data, cfg, weights = _split_operands(args.operands)
    name = Path(cfg).name.split(".")[0]
    in_folder = os.path.isdir(resolve(data))
    if in_folder:
        if args.match:
            raise UsageError("--match: is for lists; in a folder those below it are the classes")
        source = read_folder(data, args.valid, args.holdout, args.seed)
    else:
        source = read_data_file(data, args.match or "words", args.valid, args.holdout, args.seed)
    spare("--log", args.log, source.dataset.files)
    spare("--report", args.report, source.dataset.files)
    files = TrainingFiles(check_folder(args.backup or source.dataset.backup or "backup"), name)
    network = load_network(cfg, dialect=args.dialect or choose_dialect(None, weights or args.pretrained).name)
    texts: Mapping[Path, bytes] = {}
    if in_folder:
        model = make_model(files, network, source)
        network, texts = model.network, model.texts
        _spare(cfg, files, texts)
    else:
        network.dataset = source.dataset
    print_listing(network, args.style)
    options = _read_options(args, network, weights, len(source.samples))
    settings = TrainingSettings(
        seed=args.seed,
        engine="cpu" if args.engine == "auto" else args.engine,
        threads=args.threads,
        weights=weights,
        clear=args.clear,
        pretrained=args.pretrained,
        freeze=args.freeze,
        sampling="balanced" if args.balance else args.sampling,
        validate_every=args.validate_every,
    )
    _tell_classes(source)
    _check_pictures(source, args.threads or core_count())
    return Setup(args, network, source, options, settings, files, texts)


def _spare(cfg: str, files: TrainingFiles, texts: Mapping[Path, bytes]) -> None:
    """Raise UsageError where the run would replace the cfg that was named by a different one."""
    path = files.model["cfg"]
    if path.exists() and os.path.samefile(path, resolve(cfg)) and read_bytes(path, CfgError) != texts[path]:
        what = "one with as many outputs as there are classes would take its place; name another folder with --backup"
        raise UsageError(what, file=cfg)


def _check_arguments(args: argparse.Namespace) -> None:
    if args.balance and args.sampling != "epochs":
        raise UsageError("--balance together with --sampling: it is a way to sample itself")
    named = [*args.operands, *(name for name in (args.pretrained, args.valid) if name)]
    check_target("--log", args.log, (".jsonl", ".csv"), named)
    check_target("--report", args.report, (".html",), named)


def _split_operands(operands: Sequence[str]) -> tuple[str, str, str | None]:
    """DATA or FOLDER, CFG, and WEIGHTS where they are named."""
    left = list(operands)
    data = left.pop(0) if left and names_data(left[0], USAGE) else IMAGENET
    if not left:
        raise UsageError(f"a cfg file is missing; {USAGE} is expected")
    cfg = find_cfg(left.pop(0))
    if not os.path.lexists(resolve(cfg)):  # a folder or data file may have been meant where none is named
        what = "file or folder" if data == IMAGENET else "file"
        raise UsageError(f"no such {what}; {USAGE} is expected", option=cfg)
    if len(left) > 1:
        raise UsageError(f"{left[1]}: nothing more is expected after WEIGHTS")
    return data, cfg, left[0] if left else None


def _read_options(args: argparse.Namespace, network: Classifier, weights: str | None, images: int) -> TrainingOptions:
    """The cfg's options, or `RECIPE` where it has none; the command line overrides both."""
    from ..cfg import MAX_INTEGER
    from ..training.options import OPTIONS, TrainingOptions

    given = {"batch": args.batch, "subdivisions": args.subdivisions, "learning_rate": args.rate}
    changes = {key: value for key, value in given.items() if value is not None}
    silent = not (OPTIONS.keys() - {"batch", "subdivisions"}) & network.sections[0].entries.keys()
    epochs = args.epochs
    if silent:
        recipe = {**RECIPE, "batch": min(RECIPE["batch"], images)}
        if weights is not None or args.pretrained is not None:
            recipe["learning_rate"] = TUNING_RATE
        told = " ".join(f"{key}={value}" for key, value in recipe.items() if key not in changes)
        epochs = epochs or EPOCHS
        changes = {**recipe, "subdivisions": 1, **changes}
        remark(f"{network.file} does not say how to train, so this counts: {told}, --epochs {epochs:g}")
    if epochs is not None:
        batch = changes.get("batch") or network.sections[0].read_quietly({"batch": OPTIONS["batch"]})["batch"]
        iterations = changes["max_batches"] = max(1, math.ceil(epochs * images / batch))
        if iterations > MAX_INTEGER:
            reason = f"{iterations:.0f} iterations of {batch} images; at most {MAX_INTEGER} are expected"
            raise UsageError(reason, option=f"--epochs {epochs:g}")
    options = TrainingOptions.of(network, **changes)
    if not options.max_batches:
        raise network.sections[0].error("max_batches= is missing, or --epochs: when training ends")
    return options


def _tell_classes(source: Source) -> None:
    """Say how many images each class has, or, where there are many classes, the largest and the smallest."""
    from ..datasets.truths import count_classes

    names = source.dataset.names
    for what, samples in (("train", source.samples), ("validate", source.validation)):
        if not samples:
            continue
        counts = list(zip(count_classes(samples, len(names)), names, strict=True))
        shown = counts if len(counts) <= 2 * SHOWN else [max(counts), min(counts)]
        told = ", ".join(f"{name} {count}" for count, name in shown)
        remark(f"{len(samples)} images to {what}: {told}{' are most and fewest' * (len(shown) < len(counts))}")


def _check_pictures(source: Source, threads: int) -> None:
    """Refuse images that cannot be read, by name, before hours are spent on training."""
    from ..datasets.check import unreadable
    from ..datasets.lists import find_image

    samples = [*source.samples, *source.validation]
    found = list(unreadable(samples, threads, lambda file: find_image(file, source.dataset)))
    for file, reason in found[:SHOWN]:
        say(f"{file}: {reason}")
    if found:
        more = f", {len(found) - SHOWN} of them not named" * (len(found) > SHOWN)
        raise DatasetError(f"{len(found)} of {len(samples)} images cannot be read{more}; mend or remove them")
