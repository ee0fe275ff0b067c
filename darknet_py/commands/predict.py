"""darknet classifier predict: classify pictures, or those that a prompt asks for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..errors import NO_MEMORY_TO_DRAW, CfgError, ImageError, UsageError, WeightsError
from ..images.fit import PREDICT_MODES
from ..limits import core_count, processor_count
from ..report import FORMATS, STYLES, Record, open_report
from ..streams import say
from .answering import Look, Named, Query, classify_each, classify_many, name
from .model import add_engine_options, layer_number, open_model, positive, split_operands
from .pictures import find_images
from .prompt import ask_paths

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Picture

MANY = 16  # pictures; where there are fewer, all threads work on each together, for the earliest answer
USAGE = "[DATA] CFG WEIGHTS [IMAGE ...]"
EPILOG = """\
DATA is a .data file, or a folder with imagenet1k.data in it (default: ImageNet's 1000 classes).
NAME alone stands for CFG and WEIGHTS: a network that comes with the program, its weights fetched by
`darknet fetch NAME`. IMAGE is a picture, a folder of them, or - for paths on standard input; without
any, a prompt asks for them.
"""


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The options of ``classifier predict``."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, and on which pictures")
    parser.add_argument(
        "-t", "--top", type=positive, metavar="N", help="guesses for each picture (default: the .data file's)"
    )
    parser.add_argument(
        "--preprocess",
        choices=PREDICT_MODES,
        help="how a picture is fitted (default: preprocess= of the .data file; without, shorter where the network can "
        "be resized, else letterbox; with --style table letterbox)",
    )
    parser.add_argument("--annotate", metavar="DIR", help="write each picture with its guesses drawn on it there")
    parser.add_argument(
        "--heatmap", metavar="DIR", help="write where each picture has what speaks for its first guess there (Grad-CAM)"
    )
    parser.add_argument(
        "--layer",
        type=layer_number,
        metavar="N",
        help="whose plane --heatmap looks at; below 0 from the end (default: the last convolution that has a plane)",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("--style", choices=STYLES, default="lines", help="as darknet printed it in 2016 or in 2018")
    add_engine_options(parser)
    parser.epilog = EPILOG


def run_predict(args: argparse.Namespace) -> int:
    """Classify; return 3 where some pictures, or drawings of them, failed, 1 where all pictures did."""
    operands = split_operands(args.operands, USAGE)
    network = open_model(operands, args)
    top = network.dataset.top
    usual = "letterbox" if args.style == "table" else None  # as darknet did in 2018
    preprocess = args.preprocess or network.dataset.preprocess or usual
    only_leaves = args.style == "table"  # as darknet did in 2018
    looks = _open_looks(args, network, preprocess)
    report = open_report(args.format, args.style)
    prompted = not operands.rest
    paths: Iterator[Named] = iter(ask_paths(args.format == "text") if prompted else find_images(operands.rest))
    # Whoever names pictures line by line waits for each answer.
    named = [] if prompted or looks.draw or "-" in operands.rest else list(islice(paths, MANY))
    paths, query = chain(named, paths), Query(preprocess, top, only_leaves)
    many = len(named) == MANY
    # More threads than processors, each with a network of its own, would cost memory and save no time.
    threads = min(args.threads or core_count(), processor_count())
    answered = classify_many(network, paths, query, threads) if many else None
    done = failed = 0
    try:
        with closing(answered or classify_each(network, paths, query, looks.add)) as answers:
            for path, answer in answers:
                if isinstance(answer, ImageError):
                    say(str(answer))
                    report.fail(name(path), answer.reason)
                    failed += 1
                else:
                    report.add(answer)
                    done += 1
    finally:
        report.close()
    if prompted or not failed + looks.failed:
        return 0
    return 3 if done else 1


class _Looks:
    """Writes drawings of pictures, to look at; where one cannot be made, it says so and goes on.

    Attributes
    ----------
    draw : sequence of Look
        Each writes one drawing of a picture.
    failed : int
        Drawings so far that could not be made.
    """

    def __init__(self, draw: Sequence[Look] = ()) -> None:
        self.draw, self.failed = draw, 0

    def add(self, record: Record, picture: Picture) -> None:
        """Write a picture's drawings."""
        for draw in self.draw:
            try:
                draw(record, picture)
            except (CfgError, UsageError, WeightsError) as reason:  # of this picture: others may have a larger plane
                self._fail(record, str(reason))
            except MemoryError:
                self._fail(record, NO_MEMORY_TO_DRAW)

    def _fail(self, record: Record, reason: str) -> None:
        say(f"{record.file}: {reason}")
        self.failed += 1


def _open_looks(args: argparse.Namespace, network: Classifier, preprocess: str | None) -> _Looks:
    """Open the folders of the drawings that --annotate and --heatmap ask for."""
    if args.heatmap is not None:
        network.check_heatmap(args.layer, preprocess)
    elif args.layer is not None:
        raise UsageError("says where --heatmap looks, which is missing", option=f"--layer {args.layer}")
    if args.annotate is None and args.heatmap is None:
        return _Looks()
    from .gallery import Gallery, draw_guesses, draw_heat

    looks: list[Look] = []
    if args.annotate is not None:
        annotated = Gallery(args.annotate, "--annotate", "annotated")
        looks.append(lambda record, picture: annotated.add(record.file, draw_guesses(picture, record.predictions)))
    if args.heatmap is not None:
        heated = Gallery(args.heatmap, "--heatmap", "heatmap")

        def look(record: Record, picture: Picture) -> None:
            index = record.predictions[0].index
            heated.add(record.file, draw_heat(network, picture, index, record.preprocess, args.layer))

        looks.append(look)
    return _Looks(looks)
