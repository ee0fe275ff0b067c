"""A small journal for the tests."""

from __future__ import annotations

import re

from darknet_py.evaluation.outcome import Outcome, OutcomeForm
from darknet_py.runs.journals import open_journal

IMAGES = 5
FORM = OutcomeForm(IMAGES, classes=4, guesses=2, shown=1)
MEASURED = {"version": "1", "command": "valid", "weights": "aa", "cfg": "bb", "list": "5 images, cc"}
OUTCOMES = [
    Outcome(0, [(1, 0.5), (0, 0.25)], [0.25]),
    Outcome(1, [], [], "no such file"),
    Outcome(2, [(3, 0.75), (1, 0.125)], [0.125]),
    Outcome(3, [(2, 1e-10), (0, 0.0)], [0.0]),
    Outcome(4, [(0, 1.0), (1, 0.0)], [1.0]),
]


def reopen(file, measured=MEASURED, resume=True, form=FORM, **options):
    return open_journal(str(file), measured, form, resume, **options)


def write(file, *outcomes):
    """A journal with these outcomes; its content."""
    with reopen(file) as journal:
        journal.append(outcomes)
    return file.read_bytes()


def plain_journal(content):
    """A journal's content without its key and its checksums, which no other journal has."""
    return re.sub(rb'"(key|check)": ?"[0-9a-f]{16}"', rb'"\1":""', content)
