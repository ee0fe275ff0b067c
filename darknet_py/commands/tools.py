"""Smaller commands: ops, fetch."""

from __future__ import annotations

import argparse

from ..networks import find_cfg
from ..report import print_line, print_operations
from ..streams import is_quiet
from .model import add_cfg, add_dialect, add_style, print_listing


def add_ops(parser: argparse.ArgumentParser) -> None:
    """The options of ``ops``."""
    add_cfg(parser)
    add_style(parser)
    add_dialect(parser)


def run_ops(args: argparse.Namespace) -> int:
    """Count a network's floating-point operations."""
    from ..layers import DARKNET, find_dialect
    from ..network import load_structure

    dialect = find_dialect(args.dialect) if args.dialect else DARKNET
    network = load_structure(find_cfg(args.cfg), dialect)
    print_listing(network, args.style)
    print_operations(network.operations)
    return 0


def add_fetch(parser: argparse.ArgumentParser) -> None:
    """The options of ``fetch``."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="a network, e.g. extraction")


def run_fetch(args: argparse.Namespace) -> int:
    """Download published weights; print their paths."""
    from ..downloads import fetch

    for name in args.names:
        print_line(str(fetch(name, progress=not is_quiet())))
    return 0
