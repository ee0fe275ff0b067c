"""The journal: what is written, what is found again, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from conftest import ROOT

from darknet_py.evaluation import journal as module
from darknet_py.evaluation.journal import FORMAT, JournalError, open_journal, open_scratch, usual_path
from darknet_py.evaluation.outcome import Outcome

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="reads at a place as POSIX does")

IMAGES = 5
MEASURED = {"version": "1", "command": "valid", "weights": "aa", "cfg": "bb", "list": "5 images, cc"}
OUTCOMES = [
    Outcome(0, [(1, 0.5), (0, 0.25)], [0.25, 0.5]),
    Outcome(1, [], [], "no such file"),
    Outcome(2, [(3, 0.75)], [0.125]),
    Outcome(3, [(2, 1e-10)], [0.5] * 3000),  # longer than what is read at once
    Outcome(4, [(0, 1.0)], []),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.jsonl"


def reopen(file, measured=MEASURED, images=IMAGES, resume=True, **options):
    return open_journal(str(file), measured, images, resume, **options)


def write(file, *outcomes):
    """A journal with these outcomes; its content."""
    with reopen(file) as journal:
        journal.append(outcomes)
    return file.read_bytes()


# Written and found again


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 0), ()])
def test_what_was_appended_is_found_again_in_the_lists_order(file, order):
    write(file, *(OUTCOMES[index] for index in order))
    with reopen(file) as journal:
        assert journal.done == len(order)
        assert list(journal.outcomes()) == [OUTCOMES[index] for index in sorted(order)]
        assert list(journal.missing()) == [index for index in range(IMAGES) if index not in order]


def test_runs_one_after_another_leave_the_file_of_one_run(file, tmp_path):
    whole = write(tmp_path / "whole.jsonl", *OUTCOMES)
    for outcome in OUTCOMES:
        write(file, outcome)
    assert file.read_bytes() == whole
    assert json.loads(whole.split(b"\n")[0]) == {"format": FORMAT, "measured": MEASURED}


def test_outcomes_can_be_read_while_others_are_written(file):
    with reopen(file) as journal:
        journal.append([OUTCOMES[0], OUTCOMES[1], OUTCOMES[3]])
        assert list(journal.consecutive(0)) == OUTCOMES[:2]
        assert list(journal.consecutive(2)) == []
        journal.append([OUTCOMES[2]])
        assert list(journal.consecutive(2)) == OUTCOMES[2:4]
        assert (journal[3], journal.done) == (OUTCOMES[3], 4)


def test_an_image_done_twice_counts_once_and_its_last_outcome_is_told(file):
    again = Outcome(0, [(4, 0.5)], [])
    write(file, *OUTCOMES[:2], again)
    with reopen(file) as journal:
        assert journal.done == 2
        assert list(journal.outcomes()) == [again, OUTCOMES[1]]


def test_an_empty_file_is_begun(file):
    file.touch()
    for resume in (False, True):
        with reopen(file, resume=resume) as journal:
            assert journal.done == 0


# Torn and damaged


def test_a_last_line_torn_anywhere_is_that_image_again(file):
    before, whole = write(file, *OUTCOMES[:2]), write(file, OUTCOMES[2])
    for size in range(len(before), len(whole)):
        for tail in (b"", b"\0" * 7):
            file.write_bytes(whole[:size] + tail)
            with reopen(file) as journal:
                assert list(journal.missing()) == [2, 3, 4]
                journal.append([OUTCOMES[2]])
                assert list(journal.outcomes()) == OUTCOMES[:3]
            assert file.read_bytes() == whole


def test_a_first_line_torn_anywhere_is_begun_anew(file):
    whole = write(file)
    for size in range(len(whole)):
        for tail in (b"", b"\0" * 7):
            file.write_bytes(whole[:size] + tail)
            assert write(file) == whole


@pytest.mark.parametrize("size", [1, 5000, 100_000])
def test_zeros_at_the_end_are_left_out(file, size):
    whole = write(file, *OUTCOMES)
    file.write_bytes(whole + bytes(size))
    with reopen(file) as journal:
        assert journal.done == IMAGES
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"\0\0\0\n",
        b"\xff\xfe\x00garbage\n",
        b'{"image":1,"gue{"image":1}\n',
        b"[1]\n",
        b'{"image":1}\n',
        b'{"image":5,"guesses":[[0,0.5]]}\n',
        b'{"image":-1,"guesses":[[0,0.5]]}\n',
        b'{"image":1e999,"guesses":[[0,0.5]]}\n',
    ],
)
def test_garbage_between_lines_costs_no_other_line(file, garbage):
    lines = write(file, OUTCOMES[0], OUTCOMES[2]).splitlines(keepends=True)
    lines.insert(2, garbage)
    file.write_bytes(b"".join(lines))
    with reopen(file) as journal:
        assert list(journal.missing()) == [1, 3, 4]
        journal.append([OUTCOMES[1]])
        assert list(journal.outcomes()) == OUTCOMES[:3]


# Refused


@pytest.mark.parametrize("key", MEASURED)
def test_a_journal_of_something_else_is_refused_with_what_differs(file, key):
    content = write(file, *OUTCOMES)
    with pytest.raises(JournalError) as error:
        reopen(file, MEASURED | {key: "other"})
    what = f"a journal of something else: {key} {MEASURED[key]}, now other"
    assert str(error.value) == f"{file}: {what}; name another, or begin anew"
    assert file.read_bytes() == content
    with reopen(file) as journal:
        assert journal.done == IMAGES


def test_all_that_differs_is_told_and_long_values_are_cut(file):
    write(file)
    missing = {key: value for key, value in MEASURED.items() if key != "cfg"}
    with pytest.raises(JournalError) as error:
        reopen(file, missing | {"weights": "f" * 64, "more": "x"})
    assert f"else: weights aa, now {'f' * 60}...; cfg bb, now None; more None, now x;" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"a letter of mine\n",
        b"a letter of mine",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\x89PNG\0\0",
        b'{"format": "darknet_py journal 0", "measured": {}}\n',
        b'{"format": "darknet_py journal 1"}\n',
        b'{"format": "darknet_py journal 1", "measured": 7}\n',
        b"[]\n",
        b"null\n",
        b"{}",
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_journal_is_refused_and_left_alone(file, content, resume):
    file.write_bytes(content)
    with pytest.raises(JournalError) as error:
        reopen(file, resume=resume)
    says = "not a journal of this version; name another file" if resume else "is there already; --resume goes on"
    assert str(error.value).startswith(f"{file}: {says}")
    assert file.read_bytes() == content


def test_a_journal_that_is_there_is_refused_without_resume_or_put_aside_where_asked_for(file, tmp_path):
    content = write(file, *OUTCOMES)
    with pytest.raises(JournalError, match=r": is there already; --resume goes on with it, or name another file$"):
        reopen(file, resume=False)
    assert file.read_bytes() == content
    with reopen(file, resume=False, replace=True) as journal:
        assert journal.done == 0
    assert (tmp_path / "x.jsonl~").read_bytes() == content


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
        assert list(journal.outcomes()) == OUTCOMES[:2]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "FIFO"])
def test_a_journal_that_is_no_ordinary_file_is_refused(file, make):
    make(file)
    with pytest.raises(JournalError, match=r": not an ordinary file$"):
        reopen(file)


def test_a_journal_where_no_file_can_be_is_refused(file):
    file.touch()
    with pytest.raises(JournalError, match=r"below\.jsonl: no file can be written in that folder$"):
        reopen(file / "below.jsonl")


# On disk


@pytest.fixture
def synced(monkeypatch):
    """How large the file was whenever it was brought to disk; and what tells of it."""
    sizes, told = [], threading.Condition()

    def fsync(fd):
        with told:
            sizes.append(os.fstat(fd).st_size)
            told.notify()

    def wait_for(size):
        with told:
            return told.wait_for(lambda: sizes[-1:] == [size], timeout=60)

    monkeypatch.setattr(module.os, "fsync", fsync)
    return wait_for


def test_what_was_appended_reaches_the_disk_within_a_second(file, synced, monkeypatch):
    assert module.SYNC < 0.9
    monkeypatch.setattr(module, "SYNC", 0.01)
    with reopen(file) as journal:
        for outcome in OUTCOMES:
            journal.append([outcome])
            assert synced(file.stat().st_size)


def test_what_was_appended_last_reaches_the_disk_at_the_end(file, synced, monkeypatch):
    monkeypatch.setattr(module, "SYNC", 3600)
    with reopen(file) as journal:
        assert synced(file.stat().st_size)
        journal.append(OUTCOMES)
    assert synced(file.stat().st_size)


def test_a_disk_that_fails_later_is_told_at_the_next_image_or_at_the_end(file, monkeypatch):
    failed = threading.Event()

    def fsync(fd):
        failed.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "fsync", fsync)
    threads = threading.active_count()
    journal = reopen(file)
    journal.append(OUTCOMES[:1])
    assert failed.wait(60)
    with pytest.raises(JournalError) as error:
        journal.__exit__(None, None, None)
    assert str(error.value) == f"{file}: input/output error; 1 of {IMAGES} images are done; --resume goes on from there"
    assert threading.active_count() == threads


FULL = """
    import resource, sys
    from darknet_py.evaluation.journal import JournalError, open_journal
    sys.path.insert(0, {tests!r})
    from test_journal import IMAGES, MEASURED, OUTCOMES
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
    try:
        with open_journal(sys.argv[1], MEASURED, IMAGES, True) as journal:
            journal.append(OUTCOMES)
    except JournalError as error:
        print(str(error).partition(": ")[2])
"""


def test_a_disk_full_at_any_byte_leaves_whole_lines_to_go_on_from(file, tmp_path):
    whole = write(tmp_path / "whole.jsonl", *OUTCOMES)
    ends = [end for end in range(1, len(whole) + 1) if whole[end - 1 : end] == b"\n"]
    script = textwrap.dedent(FULL.format(tests=os.path.dirname(__file__)))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    for size in (0, 10, ends[0], ends[0] + 1, ends[1] + 20, ends[3] + 5000, len(whole) - 1):
        file.unlink(missing_ok=True)
        command = [sys.executable, "-c", script, str(file), str(size)]
        told = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        kept = sum(end <= size for end in ends[1:])
        says = f"file too large; {kept} of {IMAGES} images are done; --resume goes on from there\n"
        assert (told.returncode, told.stderr, told.stdout) == (0, "", says)
        assert file.read_bytes() == whole[: max((end for end in ends if end <= size), default=0)]
        assert write(file, *OUTCOMES[kept:]) == whole


def test_a_scratch_journal_serves_a_run_and_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    with open_scratch(MEASURED, IMAGES) as journal:
        journal.append(OUTCOMES)
        assert list(journal.outcomes()) == OUTCOMES
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
