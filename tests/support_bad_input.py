"""Cases of wrong and odd input from users: the files of each case, and what the program must answer.

Refused means: the expected exit code, one line on standard error that says where, what and why, nothing on standard
output. Accepted means: exit code 0 and the same answer as for the plain input.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support_cli import Answer, environment, run

BAD, USAGE, SOME, INTERRUPTED, CLOSED = 1, 2, 3, 130, 141
Content = str | bytes | Callable[[Path], object]  # what a file holds, or what makes it
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs, signals and shells of POSIX")

# The plain input: a network of three layers, small enough for any number of runs

NET = "[net]\nheight=8\nwidth=8\nchannels=3\n"
CFG = f"""{NET}
[convolutional]
filters=4
size=3
stride=1
pad=1
activation=leaky

[avgpool]
[softmax]
"""
DATA = "classes=4\nnames=x.names\ntop=4\n"
NAMES = "north\neast\nsouth\nwest\n"
VALUES = np.random.default_rng(7).uniform(-1, 1, 4 + 4 * 27).astype("<f4").tobytes()
WEIGHTS = struct.pack("<iiiq", 0, 2, 0, 320) + VALUES
PLAIN: dict[str, Content] = {"x.cfg": CFG, "x.data": DATA, "x.names": NAMES, "x.weights": WEIGHTS}
CLASSIFY = "classify x.data x.cfg x.weights star.png --engine reference"

ASK = "Enter Image Path: "
NO_FILE = "is a device, a pipe or a socket; an ordinary file is expected"
PAGE = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"


class Row(NamedTuple):
    """A case: the fault, the files that have it, how the message begins, the command's words, the exit code."""

    fault: str
    files: Mapping[str, Content]
    says: str
    command: str
    code: int = BAD


def rows(*table: Row) -> pytest.MarkDecorator:
    """Run a test for each row of `table`, whose names must differ."""
    assert len({row.fault for row in table}) == len(table)
    return pytest.mark.parametrize("row", table, ids=lambda row: row.fault)


def make(folder: Path, files: Mapping[str, Content]) -> None:
    """Write files into a folder."""
    for name, content in files.items():
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


class Program:
    """``darknet`` in the folder of a case."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache

    def __call__(self, command: str, stdin: str | bytes = "", **env: str) -> Answer:
        """Run a command, its words between blanks."""
        return run(*command.split(" "), cwd=self.folder, env=environment(self.cache, **env), stdin=stdin)


def answer_plainly(folder: Path, cache: Path) -> str:
    """Write the plain input to `folder`; return the answer to it, without its time."""
    make(folder, PLAIN)
    answer = Program(folder, cache)(CLASSIFY)
    assert (answer.code, answer.complaints, len(answer.out.splitlines())) == (0, [], 6)
    return answer.untimed


def check_refused(answer: Answer, says: str, code: int = BAD) -> None:
    """Assert that an answer is a refusal that begins with `says`."""
    line, end, rest = answer.err.partition("\n")
    assert line.startswith(f"darknet: {says}")
    assert (end, rest) == ("\n", "")
    assert (answer.code, answer.out) == (code, "")


def check_accepted(answer: Answer, row: Row, expected: str) -> None:
    """Assert that an answer is the `expected` one, with a warning where the row has one."""
    assert answer.complaints == ([f"warning: {row.says}"] if row.says else [])
    assert (answer.code, answer.untimed) == (0, expected)
