"""Where journals are kept: found, opened for one run at a time, put aside, and removed when they are old."""

from __future__ import annotations

import errno
import os
import re
import sys
import time

import pytest
from support_journal import FORM, IMAGES, MEASURED, OUTCOMES, reopen, write

from darknet_py.errors import JournalError
from darknet_py.runs import journals as module
from darknet_py.runs.journals import DAYS, open_scratch, remove_old, usual_path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="reads at a place as POSIX does")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.jsonl"


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_run_on_a_journal_is_refused_while_the_first_lasts(file, tmp_path, resume):
    (tmp_path / "linked.jsonl").symlink_to("x.jsonl")
    with reopen(file) as journal:
        journal.append(OUTCOMES[:1])
        for name in ("x.jsonl", "linked.jsonl"):
            with pytest.raises(JournalError, match=r": another run is writing this journal$"):
                reopen(tmp_path / name, resume=resume, replace=True)
        journal.append(OUTCOMES[1:2])
    with reopen(file) as journal:
        assert list(journal.records()) == OUTCOMES[:2]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "FIFO"])
def test_a_journal_that_is_no_ordinary_file_is_refused(file, make):
    make(file)
    with pytest.raises(JournalError, match=r": not an ordinary file$"):
        reopen(file)


def test_a_journal_where_no_file_can_be_is_refused(file):
    file.touch()
    with pytest.raises(JournalError, match=r"below\.jsonl: no file can be written in that folder$"):
        reopen(file / "below.jsonl")


def test_one_that_is_refused_can_be_opened_again(file):
    file.write_bytes(b"a letter of mine\n")
    for _ in range(2):
        with pytest.raises(JournalError, match=r": not a journal"):
            reopen(file)


def test_a_disk_that_fails_while_a_journal_is_taken_up_is_told(file, monkeypatch):
    write(file, *OUTCOMES[:2])
    with file.open("ab") as stream:
        stream.write(b'{"torn')

    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", fail)
        with pytest.raises(JournalError, match=rf"^{file}: input/output error$"):
            reopen(file)
    with reopen(file) as journal:
        assert journal.done == 2


# Put aside


def replace(file, *outcomes):
    """Begin anew where a journal is, with these outcomes; return what is said of the earlier one."""
    with reopen(file, resume=False, replace=True) as journal:
        assert journal.done == 0
        journal.append(outcomes)
        return journal.replaced


def test_a_journal_that_is_there_is_refused_without_resume_or_put_aside_where_asked_for(file, tmp_path):
    content = write(file, *OUTCOMES[:3])
    with pytest.raises(JournalError, match=r": is there already; --resume goes on with it, or name another file$"):
        reopen(file, resume=False)
    assert file.read_bytes() == content
    aside = tmp_path / "x.jsonl~"
    goes_on = f"--resume --journal '{aside}' goes on with them"
    assert replace(file) == f"3 of {IMAGES} images were done and are put aside; {goes_on}"
    assert aside.read_bytes() == content
    with reopen(aside) as journal:
        assert list(journal.records()) == OUTCOMES[:3]


def test_what_was_put_aside_is_not_lost_to_a_journal_of_less(file, tmp_path):
    aside = tmp_path / "x.jsonl~"
    content = write(file, *OUTCOMES[:3])
    replace(file, *OUTCOMES[:1])
    has_more = (
        f"1 of {IMAGES} images were done and written over, for {aside} has 3; --resume --journal '{aside}' goes on"
    )
    assert replace(file).startswith(has_more)
    assert replace(file, *OUTCOMES[:4]) == ""  # nothing is said where none is done
    assert aside.read_bytes() == content
    more = file.read_bytes()
    assert replace(file).startswith(f"4 of {IMAGES} images were done and are put aside; ")
    assert aside.read_bytes() == more


def test_a_journal_of_something_else_is_put_aside_with_a_word(file, tmp_path):
    aside = tmp_path / "x.jsonl~"
    for content in (b"a letter of mine\n", b'{"format": "darknet_py journal 1", "measured": {}}\n'):
        file.write_bytes(content)
        assert replace(file) == f"what was there is of another run and put aside as {aside}"
        assert aside.read_bytes() == content
    with reopen(file, MEASURED | {"weights": "other"}, resume=False, replace=True) as journal:
        journal.append(OUTCOMES)
    content = file.read_bytes()
    assert replace(file) == f"what was there is of another run and put aside as {aside}"
    assert aside.read_bytes() == content


def test_a_journal_is_not_put_aside_over_one_in_use(file, tmp_path):
    content, aside = write(file, *OUTCOMES[:3]), tmp_path / "x.jsonl~"
    with reopen(aside) as journal:
        journal.append(OUTCOMES[:1])
        with pytest.raises(JournalError, match=re.escape(f"{aside}: another run is writing this journal")):
            replace(file)
    assert file.read_bytes() == content


# Removed


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_journals_that_have_not_changed_for_long_are_removed(tmp_path):
    assert DAYS == 30
    for name in ("old", "own", "used", "new", "aside"):
        write(tmp_path / f"{name}.jsonl", *OUTCOMES)
        age(tmp_path / f"{name}.jsonl", 29 if name == "new" else 31)
    (tmp_path / "aside.jsonl").rename(tmp_path / "new.jsonl~")
    (tmp_path / "letter.txt").touch()
    age(tmp_path / "letter.txt", 31)
    with reopen(tmp_path / "used.jsonl"):
        remove_old(tmp_path, tmp_path / "own.jsonl")
    left = {"new.jsonl", "own.jsonl", "used.jsonl", "letter.txt"}
    assert {name for name in os.listdir(tmp_path) if not name.endswith(".lock")} == left
    assert {name for name in os.listdir(tmp_path) if name.endswith(".lock")} == {
        f"{name}.jsonl.lock" for name in ("new", "own", "used")
    }
    remove_old(tmp_path / "none", tmp_path)


def test_what_is_put_aside_is_kept_from_then_on(file, tmp_path):
    write(file, *OUTCOMES)
    age(file, 31)
    replace(file)
    remove_old(tmp_path, file)
    assert (tmp_path / "x.jsonl~").exists()


def test_a_scratch_journal_serves_a_run_and_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    with open_scratch(MEASURED, FORM) as journal:
        journal.append(OUTCOMES)
        assert list(journal.records()) == OUTCOMES
    assert os.listdir(tmp_path) == []


def test_the_usual_place_is_told_by_the_names_and_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = usual_path("valid", ["x.cfg", "x.weights"], ["cpu", 5])
    assert path.parent == tmp_path / "journals"
    assert usual_path("valid", [str(tmp_path / "x.cfg"), "x.weights"], ["cpu", 5]) == path
    others = {
        usual_path("valid10", ["x.cfg", "x.weights"], ["cpu", 5]),
        usual_path("valid", ["y.cfg", "x.weights"], ["cpu", 5]),
        usual_path("valid", ["x.cfg", "x.weights"], ["cpu", 6]),
    }
    assert len(others | {path}) == 4
