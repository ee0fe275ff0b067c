"""Commands on weights files: partial, average, print, statistics, and those that write changed ones."""

from __future__ import annotations

import argparse
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .. import surgery
from ..errors import CfgError, UsageError
from ..files import read_bytes, read_text, resolve, write_atomically
from ..networks import find_cfg
from ..report import print_line, print_table
from .model import add_cfg, add_dialect, index, parse_operand, positive, split_operands, tell_ways
from .target import spare

if TYPE_CHECKING:
    from ..network import Network
    from ..weights import Weights

EPILOG = "NAME alone stands for CFG and WEIGHTS: a network that comes with the program.\n"
CHANGES = {
    "denormalize": surgery.denormalize,
    "normalize": surgery.normalize,
    "rescale": surgery.rescale,
    "reset": surgery.reset,
    "rgbgr": surgery.swap_red_and_blue,
}
SETS = {"denormalize": False, "normalize": True}  # what batch_normalize is set to in the cfg
MEANINGS = {
    **dict.fromkeys(SETS, "The cfg that belongs to OUT is written beside it: OUT with the ending .cfg.\n"),
    "rescale": "Afterwards the network takes pictures in 0..1 that it took in -1..1 before.\n",
    "reset": "The cfg stays, and the network's answers: scales and variances are 1 afterwards, means 0.\n",
    "rgbgr": "Afterwards the network takes pictures in RGB that it took in BGR before, or the other way round.\n",
}


def add_partial(parser: argparse.ArgumentParser) -> None:
    """The options of ``partial``."""
    _add_operands(parser, "CFG WEIGHTS OUT N", "a network, the file to write, and how many layers go into it")
    parser.epilog = f"{EPILOG}The count of images that it has seen becomes 0: a training can begin with such a file.\n"


def run_partial(args: argparse.Namespace) -> int:
    """Write the first layers' parameters."""
    from ..weights import save_weights

    weights, network, (out, number) = _open(args, "OUT", "N")
    count = parse_operand("N", positive, number)
    if count > len(network.layers):
        raise UsageError(f"N: {count}: {network.file} has {len(network.layers)} layers")
    spare("OUT", out, [network.file, weights.file])
    save_weights(out, weights.read_all().first(count))
    print_line(out)
    return 0


def add_average(parser: argparse.ArgumentParser) -> None:
    """The options of ``average``."""
    add_cfg(parser)
    parser.add_argument("out", metavar="OUT", help="the file to write, which must not exist yet")
    parser.add_argument("weights", nargs="+", metavar="WEIGHTS", help="the files of which it gets the mean")
    add_dialect(parser)


def run_average(args: argparse.Namespace) -> int:
    """Write the mean of some weights files."""
    from ..network import load_structure
    from ..weights import choose_dialect, load_weights, save_weights

    first, *others = (choose_dialect(args.dialect, file) for file in args.weights)
    if any(dialect is not first for dialect in others):
        raise UsageError("files of several programs; whose arithmetic the mean is to have is expected: --dialect")
    network = load_structure(find_cfg(args.cfg), first)
    spare("OUT", args.out, [network.file, *args.weights])
    if os.path.lexists(args.out):  # perhaps OUT was forgotten, and this is the first of WEIGHTS
        raise UsageError("is there already; CFG OUT WEIGHTS ... is expected, OUT a new file", option=f"OUT {args.out}")
    files = [load_weights(file, network) for file in args.weights]
    mean = surgery.average(network.layers, [file.read() for file in files])
    for file in files:
        file.check_unchanged()
    save_weights(args.out, mean, files[0].header.seen)
    print_line(args.out)
    return 0


def add_print(parser: argparse.ArgumentParser) -> None:
    """The options of ``print``."""
    _add_operands(parser, "CFG WEIGHTS [N]", "a network, and the number of a layer, from 0 (default: 0)", writes=False)
    parser.epilog = EPILOG


def run_print(args: argparse.Namespace) -> int:
    """Print a layer's weights, each filter a line."""
    weights, network, rest = _open(args, "[N]")
    number = parse_operand("N", index, rest[0]) if rest else 0
    if number >= len(network.layers):
        raise UsageError(f"N: {number}: {network.file} has {len(network.layers)} layers, from 0")
    layer = network.layers[number]
    if not any(parameter.role == "weight" for parameter in layer.parameters.values()):
        raise layer.section.error(f"layer {layer.index} has no weights to print")
    arrays = next(islice(weights.read(), layer.index, None))
    for name, parameter in layer.parameters.items():
        if parameter.role == "weight":
            for numbers in arrays[name].reshape(parameter.shape[0], -1):
                print_line(" ".join(f"{number:g}" for number in numbers))
    weights.check_unchanged()
    return 0


def add_statistics(parser: argparse.ArgumentParser) -> None:
    """The options of ``statistics``."""
    _add_operands(parser, "CFG WEIGHTS", "a network", writes=False)
    parser.epilog = EPILOG


def run_statistics(args: argparse.Namespace) -> int:
    """Print what each parameter's values are like."""
    weights, network, _ = _open(args)
    rows = [
        (
            str(numbers.entry.layer.index),
            numbers.entry.layer.kind,
            numbers.entry.name,
            str(numbers.entry.parameter.size),
            *(f"{value:.6g}" for value in (numbers.mean, numbers.deviation, numbers.least, numbers.most)),
        )
        for numbers in surgery.measure(network.layers, weights.read())
    ]
    weights.check_unchanged()
    print_table(("layer", "kind", "parameter", "values", "mean", "deviation", "least", "most"), rows)
    return 0


def add_change(parser: argparse.ArgumentParser) -> None:
    """The options of the commands that write changed weights."""
    _add_operands(parser, "CFG WEIGHTS OUT", "a network, and the file to write; one that is there is replaced")
    parser.epilog = EPILOG + MEANINGS[parser.get_default("command")]


def run_change(args: argparse.Namespace) -> int:
    """Write changed weights, and the changed cfg where they need one."""
    from ..weights import save_weights

    weights, network, (out,) = _open(args, "OUT")
    spare("OUT", out, [network.file, weights.file])
    cfg, text = os.path.splitext(out)[0] + ".cfg", ""
    if args.command in SETS:
        original = read_text(resolve(network.file), CfgError, network.file)
        text = surgery.set_normalization(original, network, SETS[args.command])
        _check_free(cfg, out, text)
    save_weights(out, CHANGES[args.command](weights.read_all()), weights.header.seen)
    print_line(out)
    if text:
        write_atomically(cfg, [text.encode()], CfgError)
        print_line(cfg)
    return 0


def _check_free(cfg: str, out: str, text: str) -> None:
    """Refuse to overwrite a cfg that differs, as the user did not name it."""
    if cfg == out:
        raise UsageError(f"OUT: {out}: the name of a weights file is expected; its cfg gets the ending .cfg")
    if os.path.exists(cfg) and read_bytes(Path(cfg), CfgError) != text.encode():
        raise CfgError("is there already and would be replaced by the cfg of OUT; call OUT otherwise", file=cfg)


def _add_operands(parser: argparse.ArgumentParser, names: str, help: str, writes: bool = True) -> None:
    parser.add_argument("operands", nargs="+", metavar=names, help=help)
    if writes:
        add_dialect(parser)
    parser.set_defaults(dialect=None)
    parser.usage = f"{parser.prog} [-h] {'[--dialect NAME] ' * writes}{names}"


def _open(args: argparse.Namespace, *names: str) -> tuple[Weights, Network, list[str]]:
    """Open the weights and the network; return them and the operands `names`, where those in brackets are optional."""
    from ..network import load_structure
    from ..weights import choose_dialect, load_weights

    usage = " ".join(("CFG WEIGHTS", *names))
    found = split_operands(args.operands, usage)
    least = sum(not name.startswith("[") for name in names)
    if not least <= len(found.rest) <= len(names):
        raise UsageError(f"{' '.join(args.operands)}: {tell_ways(usage)} is expected")
    network = load_structure(found.cfg, choose_dialect(args.dialect, found.weights))
    return load_weights(found.weights, network), network, found.rest
