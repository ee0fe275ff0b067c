"""Which network the operands of a command name, and on what it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engines import ENGINES, PRECISIONS
from ..errors import UsageError, WeightsError, one_line
from ..files import SHARE, resolve

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..network import Network


@dataclass(frozen=True)
class Operands:
    """A command's operands, told apart.

    Attributes
    ----------
    data : str
        The .data file.
    cfg, weights : str
        The network's files.
    rest : list of str
        What comes after them: pictures.
    """

    data: str
    cfg: str
    weights: str
    rest: list[str]


def packaged_cfg(name: str) -> str | None:
    """``cfg/NAME.cfg`` where the package has a network of that bare name."""
    if name == os.path.basename(name) and os.path.isfile(SHARE / "cfg" / f"{name}.cfg"):
        return f"cfg/{name}.cfg"
    return None


def split_operands(operands: list[str]) -> Operands:
    """Tell ``[DATA] CFG WEIGHTS [IMAGE ...]`` and ``[DATA] NAME [IMAGE ...]`` apart.

    DATA is a folder, then its imagenet1k.data counts, or a file called ``*.data``; without it ImageNet's
    1000 classes are meant. NAME is a network that comes with the package, whose weights were fetched.
    """
    left = list(operands)
    data = None
    if left and packaged_cfg(left[0]) is None and (left[0].endswith(".data") or os.path.isdir(resolve(left[0]))):
        data = left.pop(0)
    if not left:
        raise UsageError("a cfg file is missing; [DATA] CFG WEIGHTS [IMAGE ...] or NAME [IMAGE ...] is expected")
    name = left.pop(0)
    cfg = packaged_cfg(name)
    if cfg is not None:
        embedded = resolve(f"data/{name}.data").is_file()
        return Operands(data or (f"data/{name}.data" if embedded else "cfg/imagenet1k.data"), cfg, _weights(name), left)
    if not left:
        raise UsageError(f"a weights file is missing after {name}; CFG WEIGHTS [IMAGE ...] is expected")
    return Operands(data or "cfg/imagenet1k.data", name, left[0], left[1:])


def _weights(name: str) -> str:
    """The weights of a packaged network: embedded, or fetched before."""
    from ..fetch import PUBLISHED, find_weights, weights_path

    if resolve(f"data/{name}.weights").is_file():
        return f"data/{name}.weights"
    path = find_weights(name)
    if path is None:
        published = name in PUBLISHED
        help = f"run `darknet fetch {name}`" if published else f"none are published; name the file: cfg/{name}.cfg FILE"
        raise WeightsError(f"no weights have been fetched for {name}; {help}", file=weights_path(name))
    return str(path)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Options that say on what a network runs."""
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what computes (default: %(default)s)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: one a core)")
    add_precision(parser, PRECISIONS)
    parser.add_argument("-i", "--gpu", type=index, metavar="N", help="run on this GPU")
    parser.add_argument("-nogpu", "--no-gpu", action="store_true", help="do not run on a GPU")


def add_precision(parser: argparse.ArgumentParser, known: Sequence[str]) -> None:
    """The option that says in which of the `known` numbers a network runs."""
    parser.add_argument(
        "--precision", choices=known, default="float32", help="of activations and weights (default: %(default)s)"
    )


def open_model(operands: Operands, args: argparse.Namespace) -> Classifier:
    """The network that `operands` name, on the engine that `args` name; its listing goes to stderr."""
    from ..classifier import load_network
    from ..dataset import load_dataset

    engine = args.engine
    if args.no_gpu:
        if engine == "cuda" or args.gpu is not None:
            raise UsageError("--no-gpu together with --gpu or --engine cuda")
        engine = "cpu" if engine == "auto" else engine
    dataset = load_dataset(operands.data)
    if args.top is not None and args.top > dataset.classes:
        raise UsageError(
            f"at most {dataset.classes}, the classes of {dataset.file}, is expected", option=f"--top {args.top}"
        )
    network = load_network(operands.cfg, operands.weights, engine, args.threads, gpu=args.gpu, precision=args.precision)
    network.dataset = dataset
    print_listing(network, args.style)
    print(f"Loading weights from {one_line(operands.weights)}...Done!", file=sys.stderr, flush=True)
    return network


def print_listing(network: Network, style: str) -> None:
    """The layers, on stderr."""
    print(network.describe(style), end="", file=sys.stderr, flush=True)


def positive(text: str) -> int:
    """An argument that counts something."""
    return _argument(text, 1)


def index(text: str) -> int:
    """An argument that numbers something from 0."""
    return _argument(text, 0)


def _argument(text: str, least: int) -> int:
    from ..cfg import parse_integer

    try:
        return parse_integer(text, least)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(f"{text}: {reason}") from None
