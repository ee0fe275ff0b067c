"""darknet cache: list what the program keeps, how large it is and where; remove it."""

from __future__ import annotations

import argparse

from ..cache import cache_dir
from ..errors import JournalError, one_line
from ..files import describe_oserror
from ..inventory import KINDS, Kept, list_kept, remove_kept
from ..limits import tell_size
from ..report import print_json, print_line, print_table
from ..streams import say

WHAT = {
    "kernels": "compiled kernels and choices for GPUs: made again when they are needed",
    "weights": "what darknet fetch has brought: fetched again when it is asked to",
    "journals": "what --resume goes on from",
    "bench": "pictures and networks of the benchmarks",
    "": "not of this program: never removed",
}
EPILOG = "--clear removes without asking what the program has written itself, but what is being written, and says what."


def add_cache(parser: argparse.ArgumentParser) -> None:
    """The options of ``cache``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the list is printed (default: text)"
    )
    parser.add_argument(
        "--clear", nargs="?", choices=("all", *KINDS), const="all", help="remove all that is kept, or one kind of it"
    )


def run_cache(args: argparse.Namespace) -> int:
    """List what is kept, or remove it; return 1 where something cannot be removed."""
    kept = list(list_kept())
    if args.clear is not None:
        return _clear([one for one in kept if one.kind and args.clear in ("all", one.kind)])
    sizes = {kind: [one.size for one in kept if one.kind == kind] for kind in (*KINDS, "")}
    if args.format == "json":
        kinds = {kind or "other": {"files": len(found), "bytes": sum(found)} for kind, found in sizes.items()}
        print_json({"folder": str(cache_dir()), "kinds": kinds})
        return 0
    print_line(one_line(str(cache_dir())))
    rows = [
        (kind or "other", str(len(found)), tell_size(sum(found)), WHAT[kind])
        for kind, found in sizes.items()
        if found or kind
    ]
    print_table(("kind", "files", "size", "what"), rows)
    return 0


def _clear(kept: list[Kept]) -> int:
    removed, failed = 0, False
    for one in kept:
        try:
            remove_kept(one)
        except (OSError, JournalError) as reason:
            told = reason.reason if isinstance(reason, JournalError) else describe_oserror(reason)
            say(f"{one.path}: cannot be removed: {told}")
            failed = True
        else:
            removed += one.size
            print_line(f"removed {one_line(str(one.path))}")
    print_line(f"{tell_size(removed)} freed")
    return 1 if failed else 0
