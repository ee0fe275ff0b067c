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
from support_journal import IMAGES, MEASURED, OUTCOMES, plain_journal, reopen, write

from darknet_py.errors import JournalError
from darknet_py.evaluation.outcome import Outcome, OutcomeForm
from darknet_py.runs import journal as module

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="reads at a place as POSIX does")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.jsonl"


# Written and found again


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 0), ()])
def test_what_was_appended_is_found_again_in_the_lists_order(file, order):
    write(file, *(OUTCOMES[index] for index in order))
    with reopen(file) as journal:
        assert journal.done == len(order)
        assert list(journal.records()) == [OUTCOMES[index] for index in sorted(order)]
        assert list(journal.missing()) == [index for index in range(IMAGES) if index not in order]


def test_runs_one_after_another_leave_the_file_of_one_run(file, tmp_path):
    whole = write(tmp_path / "whole.jsonl", *OUTCOMES)
    for outcome in OUTCOMES:
        write(file, outcome)
    assert plain_journal(file.read_bytes()) == plain_journal(whole)


def test_every_line_is_an_object_of_json(file):
    first, *lines = map(json.loads, write(file, *OUTCOMES).splitlines())
    assert (first["format"], first["measured"]) == ("darknet_py journal 2", MEASURED)
    assert [line["image"] for line in lines] == list(range(IMAGES))


def test_lines_may_be_longer_than_what_is_read_at_once(file):
    form = OutcomeForm(2, 4, 1, 3000)
    outcomes = [Outcome(index, [(2, 1e-10)], [0.5] * 3000) for index in range(2)]
    with reopen(file, form=form) as journal:
        journal.append(outcomes)
        assert list(journal.records()) == outcomes
    with reopen(file, form=form) as journal:
        assert list(journal.records()) == outcomes


def test_records_begin_where_they_are_asked_for(file):
    write(file, OUTCOMES[0], OUTCOMES[2], OUTCOMES[4])
    with reopen(file) as journal:
        assert list(journal.records(1)) == [OUTCOMES[2], OUTCOMES[4]]


def test_of_a_unit_one_record_is_written(file):
    with reopen(file) as journal:
        journal.append([OUTCOMES[0], OUTCOMES[0], OUTCOMES[1]])
        journal.append([OUTCOMES[1]])
        assert journal.done == 2
    assert len(file.read_bytes().splitlines()) == 3


def test_outcomes_can_be_read_while_others_are_written(file):
    with reopen(file) as journal:
        journal.append([OUTCOMES[0], OUTCOMES[1], OUTCOMES[3]])
        assert list(journal.consecutive(0)) == OUTCOMES[:2]
        assert list(journal.consecutive(2)) == []
        journal.append([OUTCOMES[2]])
        assert list(journal.consecutive(2)) == OUTCOMES[2:4]
        assert (journal[3], journal.done) == (OUTCOMES[3], 4)


def test_of_an_image_done_twice_nothing_more_is_written(file):
    content = write(file, *OUTCOMES[:2])
    assert write(file, Outcome(0, error="gone"), OUTCOMES[1]) == content


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
                assert list(journal.records()) == OUTCOMES[:3]
            assert file.read_bytes() == whole


def test_a_first_line_torn_anywhere_is_begun_anew(file):
    whole = write(file)
    for size in range(len(whole)):
        for tail in (b"", b"\0" * 7):
            file.write_bytes(whole[:size] + tail)
            assert plain_journal(write(file)) == plain_journal(whole)


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
        b'{"image":4,"guesses":[[5000,0.5],[0,0.5]],"shown":[0.5]}\n',
        b'{"image":4,"guesses":[[0,0.5],[1,0.5]],"shown":"ab"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_garbage_between_lines_costs_no_other_line(file, garbage):
    lines = write(file, OUTCOMES[0], OUTCOMES[2]).splitlines(keepends=True)
    lines.insert(2, garbage)
    file.write_bytes(b"".join(lines))
    with reopen(file) as journal:
        assert (list(journal.missing()), journal.damaged) == ([1, 3, 4], 1)
        journal.append([OUTCOMES[1]])
        assert list(journal.records()) == OUTCOMES[:3]


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
        b'{"form": "darknet_py journal 2"}\n',
        b"[]\n",
        b"null\n",
        b"{}",
        b"[" * 100_000 + b"\n",
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_journal_is_refused_and_left_alone(file, content, resume):
    file.write_bytes(content)
    with pytest.raises(JournalError) as error:
        reopen(file, resume=resume)
    says = "not a journal; name another file" if resume else "is there already; --resume goes on"
    assert str(error.value).startswith(f"{file}: {says}")
    assert file.read_bytes() == content


@pytest.mark.parametrize("version", [0, 1, 3, 22])
def test_a_journal_of_another_version_is_refused_by_name(file, version):
    content = b'{"format": "darknet_py journal %d", "measured": {}}\n{"image":0,"guesses":[[1,0.5]]}\n' % version
    file.write_bytes(content)
    with pytest.raises(JournalError) as error:
        reopen(file)
    says = f"a journal of version {version}; this program goes on with version 2 alone; name another, or begin anew"
    assert str(error.value) == f"{file}: {says}"
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "damage", [b"", b', "measured": 7', b', "key": "00", "measured": {}, "check":"0123456789abcdef"']
)
def test_a_first_line_that_is_not_as_it_was_written_is_refused(file, damage):
    file.write_bytes(b'{"format": "darknet_py journal 2"%s}\n' % damage)
    with pytest.raises(JournalError, match=r": its first line is damaged; name another, or begin anew$"):
        reopen(file)


# On disk


@pytest.fixture
def synced(monkeypatch):
    """The sizes of the file whenever it was flushed to disk; and what signals that."""
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
    from darknet_py.errors import JournalError
    from support_journal import OUTCOMES, reopen
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
    try:
        with reopen(sys.argv[1]) as journal:
            journal.append(OUTCOMES)
    except JournalError as error:
        print(str(error).partition(": ")[2])
"""


def test_a_disk_full_at_any_byte_leaves_whole_lines_to_go_on_from(file, tmp_path):
    whole = write(tmp_path / "whole.jsonl", *OUTCOMES)
    ends = [end for end in range(1, len(whole) + 1) if whole[end - 1 : end] == b"\n"]
    script = textwrap.dedent(FULL)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    for size in (0, 10, ends[0], ends[0] + 1, ends[1] + 20, ends[3] + 50, len(whole) - 1):
        file.unlink(missing_ok=True)
        command = [sys.executable, "-c", script, str(file), str(size)]
        told = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        kept = sum(end <= size for end in ends[1:])
        says = f"file too large; {kept} of {IMAGES} images are done; --resume goes on from there\n"
        assert (told.returncode, told.stderr, told.stdout) == (0, "", says)
        end = max((end for end in ends if end <= size), default=0)
        assert plain_journal(file.read_bytes()) == plain_journal(whole[:end])
        assert plain_journal(write(file, *OUTCOMES[kept:])) == plain_journal(whole)


# Read again


@pytest.mark.parametrize(
    "change", [lambda line: line.replace(b"0.5", b"0.7"), lambda line: line[:-9], lambda line: b""]
)
def test_what_has_changed_since_it_was_written_is_not_told(file, change):
    with reopen(file) as journal:
        journal.append(OUTCOMES)
        first, line, *lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(first + change(line) + b"".join(lines))
        with pytest.raises(JournalError) as error:
            list(journal.records())
    says = "what was written of image 0 has changed; 5 of 5 images are done; --resume goes on from there"
    assert str(error.value) == f"{file}: {says}"


def test_a_disk_that_cannot_be_read_is_told(file, monkeypatch):
    def read(fd, size):
        raise OSError(5, "Input/output error")

    with reopen(file) as journal:
        journal.append(OUTCOMES[:1])
        monkeypatch.setattr(module.os, "read", read)
        with pytest.raises(JournalError, match=r": input/output error; 1 of 5 images are done; --resume goes on"):
            list(journal.records())
        monkeypatch.undo()
