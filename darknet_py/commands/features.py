"""darknet classifier features: save a layer's output for pictures as an array."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..errors import DarknetError, DatasetError, ImageError, UsageError
from ..files import write_atomically
from ..images.fit import PREDICT_MODES
from ..report import print_line
from ..streams import remark, say
from .answering import Named, fit, name
from .bar import open_bar
from .model import add_engine_options, add_style, layer_number, open_model, positive, split_operands
from .pictures import find_images, is_list
from .target import check_target

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..layers import Array

USAGE = "[DATA] CFG WEIGHTS IMAGE ..."
EPILOG = """\
NAME alone stands for CFG and WEIGHTS: a network that comes with the program. IMAGE is a picture, a folder of them, a
list with one path a line, or - for paths on standard input. FILE.npy has a row for each picture, in the order of the
paths on standard output: float32 (pictures, channels), or with --no-pool (pictures, channels, height, width). The row
of a picture that fails is NaN.
"""


def add_features(parser: argparse.ArgumentParser) -> None:
    """The options of ``classifier features``."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, and on which pictures")
    parser.add_argument(
        "--layer",
        type=layer_number,
        metavar="N",
        required=True,
        help="the layer whose output is written, as the listing counts; below 0 from the end",
    )
    parser.add_argument("--save", metavar="FILE.npy", required=True, help="the file to write")
    parser.add_argument("--no-pool", action="store_true", help="write the planes, not their means")
    parser.add_argument("--batch", type=positive, metavar="N", default=16, help="pictures at a time (%(default)s)")
    parser.add_argument(
        "--preprocess", choices=PREDICT_MODES, help="how a picture is fitted (default: as predict does)"
    )
    add_style(parser)
    add_engine_options(parser)
    parser.set_defaults(top=None)
    parser.epilog = EPILOG


def run_features(args: argparse.Namespace) -> int:
    """Save the features; return 3 where some pictures failed, 1, without a file, where all did."""
    operands = split_operands(args.operands, USAGE)
    if not operands.rest:
        raise UsageError(f"a picture is missing; {USAGE} is expected")
    check_target("--save", args.save, (".npy",), [operands.cfg, operands.weights, operands.data, *operands.rest])
    network = open_model(operands, args, args.layer)
    paths = list(_find_paths(operands.rest, network))
    rows = _compute(network, paths, args)
    failed = 0
    for first in rows:
        if first is not None:
            break
        failed += 1
    else:
        return 1
    save = _Saver(len(paths), first.shape)
    write_atomically(args.save, save.parts(chain([None] * failed, [first], rows)), DatasetError)
    for path in paths:
        print_line(name(path))
    size = " x ".join(map(str, (len(paths), *first.shape)))
    layer = network.layer_at(args.layer)
    remark(f"{args.save}: layer {layer.index} [{layer.kind}], {size}, {save.failed} of them failed")
    return 3 if save.failed else 0


class _Saver:
    """The parts of a .npy file of `count` rows of `shape`.

    Attributes
    ----------
    failed : int
        How many of the rows so far are of pictures that failed.
    """

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self.count, self.shape, self.failed = count, shape, 0

    def parts(self, rows: Iterable[Array | None]) -> Iterator[bytes]:
        """The header, then `rows` one by one; NaN for None."""
        import numpy as np

        from ..alike import check_alike

        header = io.BytesIO()
        described = {"descr": "<f4", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(header, described)
        yield header.getvalue()
        for row in rows:
            if row is None:
                self.failed += 1
                row = np.full(self.shape, np.nan, np.float32)
            check_alike(row.shape, self.shape, "--preprocess letterbox")
            yield row.astype("<f4", copy=False).tobytes()


def _find_paths(operands: Sequence[str], network: Classifier) -> Iterator[Named]:
    from ..datasets.lists import find_image, load_list

    for operand in operands:
        if is_list(operand):
            yield from (str(find_image(path, network.dataset)) for path in load_list(operand, network.dataset))
        else:
            yield from find_images([operand])


def _compute(network: Classifier, paths: Sequence[Named], args: argparse.Namespace) -> Iterator[Array | None]:
    """Yield each picture's features, or None where it failed; the reason is printed."""
    from ..evaluation.evaluator import run_views

    run = network.layer_run(args.layer, not args.no_pool)
    left = iter(paths)
    with open_bar(len(paths)) as bar:
        while chunk := list(islice(left, args.batch)):
            views: dict[int, list[Array]] = {}
            failures: dict[int, ImageError] = {}
            for number, path in enumerate(chunk):
                try:
                    views[number] = [fit(network, path, args.preprocess)[0].view]
                except ImageError as error:
                    failures[number] = error
            rows: dict[int, Array] = {}
            for number, (output,) in run_views(views, run).items():
                if isinstance(output, DarknetError):
                    failures[number] = ImageError(str(output), file=name(chunk[number]))
                else:
                    rows[number] = output
            for _, failure in sorted(failures.items()):
                with bar.external_write_mode():
                    say(str(failure))
            yield from map(rows.get, range(len(chunk)))
            bar.update(len(chunk))
