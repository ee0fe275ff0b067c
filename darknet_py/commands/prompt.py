"""A prompt that asks for pictures until the input ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from ..files import resolve

PROMPT = "Enter Image Path: "
MAX_PATH = 1 << 15  # characters; no system has longer ones


def ask_paths(to_stdout: bool) -> Iterator[str]:
    """Yield the paths that a user types, one a line, until the input ends; after a blank line, ask again.

    On a terminal, lines can be edited and recalled, and file names completed. `to_stdout` says where the prompt goes:
    to standard output, or to standard error, where standard output holds records for a program.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if terminal:
        with contextlib.suppress(ImportError):  # Windows has no readline
            import readline

            _complete_files(readline)
    while True:
        if not to_stdout:
            print(PROMPT, end="", file=sys.stderr, flush=True)
        try:
            line = input(PROMPT if to_stdout else "")
        except EOFError:
            if sys.stdin.isatty():  # Ctrl-D leaves the cursor after the prompt
                print(file=sys.stderr, flush=True)
            return
        if line.strip():
            yield find_typed(line)


def find_typed(line: str) -> str:
    """The path that `line` means: the line itself where there is such a file, else what a shell would make of it.

    So a carriage return and surrounding blanks are dropped, and so are the quotes or backslashes that a terminal adds
    to a path which is dragged onto it; ``~`` is a home folder.
    """
    import shlex

    path = line.strip()
    if len(path) > MAX_PATH:
        return path
    readings = [line, line.rstrip("\r"), path]
    with contextlib.suppress(ValueError):  # an unmatched apostrophe, say
        words = shlex.split(path)
        readings += words if len(words) == 1 else []
    if "\0" not in line:
        readings += map(os.path.expanduser, readings[2:])
    return next((reading for reading in readings if reading and os.path.lexists(resolve(reading))), path)


def _complete_files(readline: ModuleType) -> None:
    import glob

    def complete(text: str, state: int) -> str | None:
        matches = sorted(glob.glob(glob.escape(text) + "*"))
        names = [match + os.sep if os.path.isdir(match) else match for match in matches]
        return names[state] if state < len(names) else None

    readline.set_completer(complete)
    readline.set_completer_delims("")  # paths may contain blanks
    editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if editline else "tab: complete")
