"""Whatever damages a journal, it is refused, or what is damaged is measured again; nothing wrong is read from it."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from itertools import combinations

import pytest
from support_journal import FORM, MEASURED, OUTCOMES

from darknet_py.errors import JournalError
from darknet_py.evaluation.outcome import Outcome
from darknet_py.runs import journal as module
from darknet_py.runs.journal import Journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="reads at a place as POSIX does")

OTHERS = [Outcome(index, [(index % 4, 0.75), ((index + 1) % 4, 0.125)], [0.5]) for index in range(len(OUTCOMES))]


class Unstarted(threading.Thread):
    """A thread that does nothing, as nothing here need reach the disk."""

    def start(self):
        pass

    def join(self, timeout=None):
        pass


@pytest.fixture(autouse=True)
def stream(monkeypatch):
    """A file that a journal can be in."""
    monkeypatch.setattr(module.threading, "Thread", Unstarted)
    with tempfile.TemporaryFile() as stream:
        yield stream


def take_up(stream, measured=MEASURED):
    """Resume the journal in a file, which stays open."""
    journal = Journal(os.fdopen(os.dup(stream.fileno()), "r+b", buffering=0), "x.jsonl", FORM)
    try:
        journal.resume(measured)
    except BaseException:
        journal.close()
        raise
    return journal


def write(stream, *outcomes, measured=MEASURED):
    """Write a journal with these outcomes; return its content."""
    with take_up(stream, measured) as journal:
        journal.append(outcomes)
    return read(stream)


def read(stream):
    return os.pread(stream.fileno(), 1 << 20, 0)


def fill(stream, content):
    os.ftruncate(stream.fileno(), 0)
    os.pwrite(stream.fileno(), content, 0)


@pytest.fixture
def content(stream):
    return write(stream, *OUTCOMES)


def hold(stream, content):
    """Assert that `content` gives the outcomes, or some of them, or is refused; return how many, or None."""
    fill(stream, content)
    try:
        journal = take_up(stream)
    except JournalError:
        assert read(stream) == content
        return None
    with journal:
        assert all(outcome == OUTCOMES[outcome.index] for outcome in journal.records())
        missing = list(journal.missing())
        journal.append(OUTCOMES[index] for index in missing)
        assert list(journal.records()) == OUTCOMES
    with take_up(stream) as journal:
        assert list(journal.records()) == OUTCOMES
    return len(OUTCOMES) - len(missing)


def test_every_bit_that_is_flipped(stream, content):
    done = set()
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            done.add(hold(stream, bytes(changed)))
    # One line's image, or two where the end between them is gone; refused where it is the first line's.
    assert done == {None, len(OUTCOMES) - 1, len(OUTCOMES) - 2}


def test_every_byte_that_is_deleted_and_every_end(stream, content):
    first = content.index(b"\n")
    for place in range(len(content)):
        done = hold(stream, content[:place] + content[place + 1 :])
        assert done == (None if place <= first else done)
        assert done is None or done >= len(OUTCOMES) - 2
        assert hold(stream, content[:place]) == max(content[:place].count(b"\n") - 1, 0)


def test_every_byte_that_is_doubled(stream, content):
    for place in range(len(content)):
        hold(stream, content[: place + 1] + content[place:])


def test_every_pair_of_lines_that_is_swapped_and_every_line_that_is_doubled(stream, content):
    lines = content.splitlines(keepends=True)
    for one, other in combinations(range(len(lines)), 2):
        swapped = list(lines)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        assert hold(stream, b"".join(swapped)) == (len(OUTCOMES) if one else None)
        doubled = [*lines[:other], lines[one], *lines[other:]]
        assert hold(stream, b"".join(doubled)) == (len(OUTCOMES) - 1 if other == 0 else len(OUTCOMES))


@pytest.mark.parametrize("measured", [MEASURED, MEASURED | {"list": "5 images, dd"}], ids=["the same", "another list"])
def test_lines_of_another_journal(stream, content, measured):
    fill(stream, b"")
    other = write(stream, *OTHERS, measured=measured)
    lines, others = (text.splitlines(keepends=True) for text in (content, other))
    for place, foreign in enumerate(others[1:], 1):
        replaced = [*lines[:place], foreign, *lines[place + 1 :]]
        assert hold(stream, b"".join(replaced)) == len(OUTCOMES) - 1
        for after in range(1, len(lines) + 1):
            assert hold(stream, b"".join([*lines[:after], foreign, *lines[after:]])) == len(OUTCOMES)
    assert hold(stream, b"".join([others[0], *lines[1:]])) == (0 if measured == MEASURED else None)


def test_parts_of_lines_that_are_joined(stream, content):
    """As where a block of the file was written twice, or in place of another."""
    starts = [place + 1 for place in range(len(content)) if content[place : place + 1] == b"\n"]
    for size in range(1, 90, 7):
        for one in starts[:-1]:
            for other in starts[:-1]:
                hold(stream, content[: one + size] + content[other + size :])
                hold(stream, content[:one] + content[other : other + size] + content[one + size :])


def test_a_line_that_is_sealed_and_yet_of_no_such_run_is_passed_over(stream):
    wrong = [
        Outcome(4, [(5000, 0.5), (0, 0.25)], [0.5]),
        Outcome(4, [(-1, 0.5), (0, 0.25)], [0.5]),
        Outcome(4, [(0, 0.5)], [0.5]),
        Outcome(4, [(0, 0.5), (1, 0.25)], []),
        Outcome(4, [(0, 0.5), (1, 0.25)], [0.5, 0.5]),
    ]
    content = write(stream, *OUTCOMES[:2])
    for outcome in wrong:
        fill(stream, content)
        write(stream, outcome)
        with take_up(stream) as journal:
            assert (journal.damaged, list(journal.missing())) == (1, [2, 3, 4])
    for index in (-1, FORM.count):
        with pytest.raises(ValueError, match="of another run"):
            FORM.from_line(FORM.to_line(Outcome(index, error="x")))
