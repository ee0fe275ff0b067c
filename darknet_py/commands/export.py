"""darknet export: write a network with its weights as an ONNX file."""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..networks import IMAGENET
from ..report import print_line
from .model import add_dialect, split_operands, tell_ways
from .target import check_target

USAGE = "[DATA] CFG WEIGHTS OUT.onnx"
EPILOG = """\
NAME alone stands for CFG and WEIGHTS: a network that comes with the program, its weights fetched by
`darknet fetch NAME`. The model takes `images`, float32 (batch, 3, height, width) in 0..1, of any height and
width where the network allows it, and gives `output0`, (batch, outputs). Its metadata has the names of DATA
(a .data file; without it ImageNet's), how pictures are fitted, and the dialect. Needs the package onnx:
pip install onnx.
"""


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of ``export``."""
    parser.add_argument("operands", nargs="+", metavar=USAGE, help="what to write, and where; a file there is replaced")
    parser.add_argument("--fixed", action="store_true", help="take pictures of the cfg's height and width only")
    add_dialect(parser)
    parser.epilog = EPILOG


def run_export(args: argparse.Namespace) -> int:
    """Write the file; print its path."""
    if len(args.operands) < 2:
        raise UsageError(f"the file to write is missing; {tell_ways(USAGE)} is expected")
    operands = split_operands(args.operands, USAGE)
    if len(operands.rest) != 1:
        raise UsageError(f"{' '.join(args.operands)}: {tell_ways(USAGE)} is expected")
    check_target("OUT", operands.rest[0], (".onnx",), operands[:3])
    from ..datasets.data_file import load_dataset
    from ..network import load_structure
    from ..onnx_export import make_model, save_onnx
    from ..weights import choose_dialect, load_weights

    network = load_structure(operands.cfg, choose_dialect(args.dialect, operands.weights))
    dataset = load_dataset(operands.data)
    known = operands.data != IMAGENET or dataset.classes == network.outputs
    if known:
        dataset.check_outputs(network.outputs, network.file)
    parameters = load_weights(operands.weights, network).read_all()
    names = dataset.names if known else ()
    save_onnx(operands.rest[0], make_model(network, parameters, names, dataset.preprocess, args.fixed))
    print_line(operands.rest[0])
    return 0
