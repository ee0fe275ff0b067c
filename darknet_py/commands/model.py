"""The operands and options that name a network and the engine it runs on."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..engines import ENGINES, PRECISIONS
from ..errors import DarknetWarning, UsageError
from ..files import BINARY, resolve
from ..layers import DIALECTS
from ..networks import IMAGENET, check_spelling, packaged_cfg
from ..packaged import find_packaged
from ..report import STYLES
from ..streams import is_quiet, remark

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..network import Network

MAX_HEAD = 1 << 16  # bytes of a file that are read to tell what it is
_OPTION = re.compile(r"\w+\s*=")  # how a .data file begins


class Operands(NamedTuple):
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


def tell_ways(usage: str) -> str:
    """A command's operands for a message: `usage`, or the same with NAME in place of CFG and WEIGHTS."""
    return f"{usage} or {usage.removeprefix('[DATA] ').replace('CFG WEIGHTS', 'NAME')}"


def split_operands(operands: list[str], usage: str) -> Operands:
    """Tell ``[DATA] CFG WEIGHTS ...`` and ``[DATA] NAME ...`` apart; `usage`, the first form, is for messages.

    DATA is a file in the format of a .data file, whatever its name, or a folder, whose imagenet1k.data is used. NAME
    is a network that comes with the package, its weights embedded or fetched. Without DATA, its own .data file is used
    where it has one, else ImageNet's 1000 classes.
    """
    if operands[:1] == [""]:
        raise UsageError("'': a name is expected, of a file or a folder")
    left, ways = list(operands), tell_ways(usage)
    data = left.pop(0) if left and packaged_cfg(left[0]) is None and names_data(left[0], ways) else None
    if not left:
        raise UsageError(f"a cfg file is missing; {ways} is expected")
    name = left.pop(0)
    packaged = find_packaged(name)
    if packaged is not None:
        return Operands(data or packaged.data, packaged.cfg, packaged.weights, left)
    check_spelling(name)
    if not left:
        raise UsageError(f"a weights file is missing after {name}; {ways} is expected")
    for operand, place in ((name, "CFG"), (left[0], "WEIGHTS")):
        content = _tell_content(operand)
        if content not in (None, "", place) and not operand.endswith(".cfg"):
            raise UsageError(f"{content} in the place of {place}; {ways} is expected", option=operand)
    return Operands(data or IMAGENET, name, left[0], left[1:])


def names_data(operand: str, usage: str) -> bool:
    """Whether the first operand is DATA rather than a cfg, judged by its content, or else by its name.

    Raises UsageError, which quotes the command's `usage`, where it is neither.
    """
    if os.path.isdir(resolve(operand)):
        return True
    if operand.endswith(".cfg"):
        return False
    content, named = _tell_content(operand), operand.endswith(".data")
    if content not in (None, "DATA", "CFG") and not named:
        raise UsageError(f"neither a .data file nor a cfg; {usage} is expected", option=operand)
    return content == "DATA" or (named and content != "CFG")


def _tell_content(operand: str) -> str | None:
    """What a file holds, by its first line that is no comment: ``DATA``, ``CFG``, or "" for neither.

    ``a picture`` where its name ends as a picture's; None where there is no such file, or it cannot be read.
    """
    from ..images.folders import is_called_picture

    path = resolve(operand)
    try:
        if not os.path.isfile(path):
            return None
        if is_called_picture(path):
            return "a picture"
        with path.open("rb") as stream:
            text = stream.read(MAX_HEAD).decode("utf-8-sig", "replace")
    except OSError:
        return None
    lines = (line.strip() for line in re.split(r"[\r\n]+", text))
    first = next((line for line in lines if line[:1] not in ("", "#", ";")), "")
    if BINARY.search(text):
        return ""
    return "CFG" if first.startswith("[") else "DATA" if _OPTION.match(first) else ""


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """The options that say on what a network runs."""
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what computes (default: %(default)s)")
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: one a core)")
    add_precision(parser, PRECISIONS)
    parser.add_argument("-i", "--gpu", type=index, metavar="N", help="run on this GPU")
    parser.add_argument("-nogpu", "--no-gpu", action="store_true", help="do not run on a GPU")
    add_dialect(parser)


def add_cfg(parser: argparse.ArgumentParser) -> None:
    """The operand of commands that take a network without its weights."""
    parser.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a network that comes with the program")


def add_style(parser: argparse.ArgumentParser) -> None:
    """The option that says how the layers are listed."""
    parser.add_argument(
        "--style", choices=STYLES, default="lines", help="the listing as darknet printed it in 2016 or in 2018"
    )


def add_precision(parser: argparse.ArgumentParser, known: Sequence[str]) -> None:
    """The option for the precision in which a network runs, one of `known`."""
    parser.add_argument(
        "--precision",
        choices=known,
        default="float32",
        help="of activations and weights in products (default: %(default)s)",
    )


def add_dialect(parser: argparse.ArgumentParser) -> None:
    """The option for the dialect: whose arithmetic a network follows."""
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        help="the program whose arithmetic is used (default: alexeyab for weights of version 0.2.5, else darknet)",
    )


def open_model(operands: Operands, args: argparse.Namespace, until: int | None = None) -> Classifier:
    """Open the network that `operands` name, on the engine that `args` name; its listing goes to stderr.

    `args.top`, where given, replaces its dataset's `top`. With `until`, the number of a layer, no engine is opened for
    the layers after it.
    """
    from ..classifier import Classifier
    from ..datasets.data_file import load_dataset
    from ..running import Settings

    engine = args.engine
    if args.no_gpu:
        if engine == "cuda" or args.gpu is not None:
            raise UsageError("--no-gpu together with --gpu or --engine cuda")
        engine = "cpu" if engine == "auto" else engine
    dataset = load_dataset(operands.data)
    if args.top is not None:
        top = min(args.top, dataset.classes)
        if top < args.top:
            reason = f"more than the {top} classes of {dataset.file}; {top} is taken"
            warnings.warn(DarknetWarning(f"--top {args.top}: {reason}"), stacklevel=2)
        dataset = replace(dataset, top=top)
    settings = Settings(engine, args.threads, args.gpu, args.precision, args.dialect)
    network = Classifier(operands.cfg, operands.weights, settings, until)
    network.check_pictures()
    network.dataset = dataset
    print_listing(network, args.style)
    remark(f"Loading weights from {operands.weights}...Done!", speaker="")
    return network


def print_listing(network: Network, style: str) -> None:
    """Print the layers and their arithmetic on stderr, unless --quiet is given."""
    if not is_quiet():
        print(f"{network.describe(style)}{network.dialect.summary}", file=sys.stderr, flush=True)


def parse_operand(name: str, parse: Callable[[str], int], text: str) -> int:
    """Convert the operand `name` by `parse`, an argparse type; UsageError where that fails."""
    try:
        return parse(text)
    except argparse.ArgumentTypeError as reason:
        raise UsageError(f"{name}: {reason}") from None


def positive(text: str) -> int:
    """An argument that counts something: at least 1."""
    return _argument(text, 1)


def index(text: str) -> int:
    """An argument that numbers something from 0."""
    return _argument(text, 0)


def layer_number(text: str) -> int:
    """An argument that numbers a layer: from 0, or from the end where it is below 0."""
    return _argument(text, None)


def _argument(text: str, least: int | None) -> int:
    from ..cfg import parse_integer

    try:
        return parse_integer(text, least)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(f"{text}: {reason}") from None
