"""darknet networks: list the networks that come with the program, without reading their cfgs."""

from __future__ import annotations

import argparse

from ..downloads import PUBLISHED
from ..files import resolve
from ..networks import ACCURACY, ALIASES, FIGURES, GIVEN, packaged_names
from ..report import print_table

EPILOG = """\
MiB: of a weights file. top-1, top-5: right answers on ImageNet's validation images, in percent, as published with the
weights. weights: `fetch` where `darknet fetch` knows them.
"""


def add_networks(parser: argparse.ArgumentParser) -> None:
    """The options of ``networks``: none."""
    parser.epilog = EPILOG


def run_networks(args: argparse.Namespace) -> int:
    """List all networks: their names, their figures, and the accuracy that was published for them."""
    header = ("network", "layers", "picture", "Bn operations", "MiB", "top-1", "top-5", "weights", "")
    print_table(header, [_tell_network(name) for name in packaged_names()])
    return 0


def _tell_network(name: str) -> list[str]:
    """A row of the list; the last column says which network an alias means, or what the user must supply."""
    stem = ALIASES.get(name, name)
    figures = FIGURES[stem]
    size = f"{figures.parameters * 4 / 2**20:.1f}"
    picture, operations = f"{figures.width} x {figures.height}", f"{figures.operations / 1e9:.2f}"
    accuracy = [f"{share:.1f}" for share in ACCURACY.get(name, ())] or ["", ""]
    embedded = "embedded" if resolve(f"data/{name}.weights").is_file() else ""
    weights = "fetch" if name in PUBLISHED else embedded
    note = f"= {stem}" if name in ALIASES else f"{GIVEN[stem]} is yours to give" if stem in GIVEN else ""
    return [name, str(figures.layers), picture, operations, size, *accuracy, weights, note]
