"""Options of the benchmarks' command lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from darknet_py.limits import core_count

from .models import NETWORKS


def names(known: Sequence[str]) -> Callable[[str], list[str]]:
    """The type of the argument ``A,B``: names, all of which must be `known`."""

    def parse(text: str) -> list[str]:
        given = [name for name in text.split(",") if name]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: unknown; one of {', '.join(known)} is expected")
        return given

    return parse


def positive(text: str) -> int:
    """An argument that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1 is expected")
    return number


def make_parser(
    module: str,
    description: str | None,
    rounds: int,
    networks: Sequence[str] = NETWORKS,
    default: str = "tiny,extraction",
) -> argparse.ArgumentParser:
    """The parser of a benchmark: on which of `networks`, how often, on how many threads."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=positive, default=rounds, metavar="N", help="default: %(default)s")
    parser.add_argument("--threads", type=positive, default=core_count(), metavar="N", help="default: one a core")
    parser.add_argument("--networks", type=names(networks), default=default, metavar="A,B", help="default: %(default)s")
    return parser
