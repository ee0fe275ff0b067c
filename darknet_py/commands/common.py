"""The options of every command."""

from __future__ import annotations

import argparse

VERSION = ("-V", "--version")


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options of every command."""
    group = parser.add_argument_group("of every command").add_mutually_exclusive_group()
    group.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no remarks: only errors and warnings"
    )
    group.add_argument("-v", "--verbose", action="store_true", help="say more about what is done, on standard error")
    group.add_argument(*VERSION, action="store_true", help="print only the version")
    if parser.get_default("no_gpu") is None:  # as in darknet, commands that run on the CPU anyway accept it
        parser.add_argument("-nogpu", "--no-gpu", action="store_true", help=argparse.SUPPRESS)
