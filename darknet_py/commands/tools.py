"""Smaller commands: ops, networks, fetch."""

from __future__ import annotations

import argparse

from ..errors import CfgError
from ..files import resolve
from ..report import STYLES, print_line, print_operations, print_table
from ..streams import is_quiet
from .model import add_dialect, find_cfg, print_listing

EPILOG = """\
MiB: of a weights file. top-1, top-5: right answers on ImageNet's validation images, in percent, as published with the
weights. weights: `fetch` where `darknet fetch` knows them.
"""


def add_ops(parser: argparse.ArgumentParser) -> None:
    """The options of ``ops``."""
    parser.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a network that comes with the program")
    parser.add_argument("--style", choices=STYLES, default="lines", help="of the listing: darknet's of 2016 or of 2018")
    add_dialect(parser)


def run_ops(args: argparse.Namespace) -> int:
    """Count a network's floating-point operations."""
    from ..network import load_structure
    from ..weights import choose_dialect

    network = load_structure(find_cfg(args.cfg), choose_dialect(args.dialect, None))
    print_listing(network, args.style)
    print_operations(network.operations)
    return 0


def add_networks(parser: argparse.ArgumentParser) -> None:
    """The options of ``networks``: none."""
    parser.epilog = EPILOG


def run_networks(args: argparse.Namespace) -> int:
    """List all names, what the networks are like, and what was published of them."""
    from ..networks import packaged_names

    header = ("network", "layers", "picture", "Bn operations", "MiB", "top-1", "top-5", "weights", "")
    print_table(header, [_tell_network(name) for name in packaged_names()])
    return 0


def _tell_network(name: str) -> list[str]:
    """A row of the list; in its last column an alias's network, or what the network lacks."""
    from ..downloads import PUBLISHED
    from ..network import load_structure
    from ..networks import ACCURACY, ALIASES

    note = f"= {ALIASES[name]}" if name in ALIASES else ""
    try:
        network = load_structure(find_cfg(name))
    except CfgError as reason:
        counts, note = [""] * 4, f"{reason.option}: {reason.reason}"
    else:
        _, height, width = network.input_shape
        size = f"{network.parameter_count * 4 / 2**20:.1f}"
        counts = [str(len(network.layers)), f"{width} x {height}", f"{network.operations / 1e9:.2f}", size]
    accuracy = [f"{share:.1f}" for share in ACCURACY.get(name, ())] or ["", ""]
    embedded = "embedded" if resolve(f"data/{name}.weights").is_file() else ""
    return [name, *counts, *accuracy, "fetch" if name in PUBLISHED else embedded, note]


def add_fetch(parser: argparse.ArgumentParser) -> None:
    """The options of ``fetch``."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="a network, e.g. extraction")


def run_fetch(args: argparse.Namespace) -> int:
    """Download published weights; print where they lie."""
    from ..downloads import fetch

    for name in args.names:
        print_line(str(fetch(name, progress=not is_quiet())))
    return 0
