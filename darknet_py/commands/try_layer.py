"""darknet classifier try: print a layer's output for a picture."""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..images.decode import load_image
from ..images.fit import PREDICT_MODES
from ..report import LayerRecord, print_layer
from ..streams import remark
from .model import add_dialect, add_style, layer_number, open_model, parse_operand, split_operands

USAGE = "[DATA] CFG WEIGHTS IMAGE [LAYER]"
EPILOG = """\
NAME alone stands for CFG and WEIGHTS: a network that comes with the program. LAYER is a number, as the listing counts;
below 0 from the end (default: the layer whose output is the network's). Layers run by their definitions: no engine
joins them.
"""


def add_try(parser: argparse.ArgumentParser) -> None:
    """The options of ``classifier try``."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, on which picture, and up to where")
    parser.add_argument(
        "--preprocess",
        choices=PREDICT_MODES,
        help="how a picture is fitted (default: preprocess= of the .data file; without, shorter where the network can "
        "be resized, else letterbox)",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv"),
        default="text",
        help="lines of channel, row, column and value, or all in one object (default: %(default)s)",
    )
    add_style(parser)
    add_dialect(parser)
    parser.set_defaults(engine="reference", threads=None, precision="float32", gpu=None, top=None)
    parser.epilog = EPILOG


def run_try(args: argparse.Namespace) -> int:
    """Print the values of a layer's output."""
    operands = split_operands(args.operands, USAGE)
    if not 1 <= len(operands.rest) <= 2:
        raise UsageError(f"{' '.join(args.operands)}: {USAGE} is expected")
    file, *number = operands.rest
    asked = parse_operand("LAYER", layer_number, number[0]) if number else None
    network = open_model(operands, args)
    layer = network.output_layer if asked is None else network.layer_at(asked)
    picture = load_image(file)
    mode = network.mode_for(picture, args.preprocess, file)
    (image,) = network.prepare(picture, mode)
    (values,) = network.layer_output(image[None], layer.index)
    height, width = image.shape[1:]
    record = LayerRecord(file, width, height, mode, layer.index, layer.kind, values)
    remark(record.describe())
    print_layer(record, args.format)
    return 0
