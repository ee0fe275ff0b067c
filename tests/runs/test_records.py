"""A journal keeps records of any kind of run: here those of a made-up training."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import pytest

from darknet_py.errors import JournalError
from darknet_py.runs.journals import open_journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="reads at a place as POSIX does")

MEASURED = {"command": "train", "cfg": "aa"}


@dataclass(frozen=True)
class Step:
    """The result of one batch."""

    number: int
    loss: float


@dataclass(frozen=True)
class StepForm:
    """Steps from 1 on, whose loss is a number."""

    count: int
    unit: str = "step"

    def place(self, step):
        return step.number - 1

    def to_line(self, step):
        return json.dumps({"step": step.number, "loss": step.loss}).encode() + b"\n"

    def from_line(self, line):
        fields = json.loads(line)
        step = Step(int(fields["step"]), float(fields["loss"]))
        if not 0 < step.number <= self.count:
            raise ValueError("a step of another run")
        return step


STEPS = [Step(1, 2.5), Step(2, 1.25), Step(3, 0.5)]


def reopen(file, count=3):
    return open_journal(str(file), MEASURED, StepForm(count), resume=True)


def test_records_of_another_kind_are_found_again_and_gone_on_from(tmp_path):
    file = tmp_path / "x.jsonl"
    with reopen(file) as journal:
        journal.append([STEPS[0], STEPS[2]])
    with reopen(file) as journal:
        assert (list(journal.records()), list(journal.consecutive(0))) == ([STEPS[0], STEPS[2]], STEPS[:1])
        assert (journal.done, list(journal.missing())) == (2, [1])
        assert journal.state == "2 of 3 steps are done; --resume goes on from there"
        journal.append([STEPS[1]])
        assert list(journal.records()) == STEPS


def test_what_the_form_refuses_counts_as_damaged(tmp_path):
    file = tmp_path / "x.jsonl"
    with reopen(file) as journal:
        journal.append(STEPS)
    with reopen(file, count=2) as journal:
        assert (journal.damaged, list(journal.records())) == (1, STEPS[:2])


def test_errors_name_the_unit_of_the_run(tmp_path):
    file = tmp_path / "x.jsonl"
    with reopen(file) as journal:
        journal.append(STEPS)
        file.write_bytes(file.read_bytes().replace(b"1.25", b"1.26"))
        with pytest.raises(JournalError, match=r": what was written of step 1 has changed; 3 of 3 steps are done; "):
            list(journal.records())
