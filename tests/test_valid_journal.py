"""The journal of the commands that measure, as a user sees it: resumed, forgotten, missing, damaged, old."""

from __future__ import annotations

import json
import os
import time

import pytest
from conftest import ROOT
from support_cli import run
from support_valid import surroundings

from darknet_py.evaluation.totals import interval

IMAGES = 5  # that the embedded network's .data file names
PICTURES = [f"data/{kind}.png" for kind in ("arrow", "crescent", "flower", "heart", "star")]
NOTHING = "nothing to go on with: no image is done with these files and options; all are measured"


@pytest.fixture
def cache(tmp_path):
    """A cache of its own, as what is in it is counted; engine reference needs no kernels."""
    return tmp_path / "cache"


@pytest.fixture
def darknet(tmp_path, cache):
    """Run ``darknet classifier COMMAND shapes ...``."""

    def darknet(command, *arguments):
        words = ("classifier", command, "shapes", *arguments, "--engine", "reference")
        return run(*words, cwd=tmp_path, env=surroundings(cache))

    return darknet


@pytest.fixture
def journals(cache):
    """The journals in the cache, by their names."""

    def journals():
        return sorted(path for path in (cache / "journals").iterdir() if path.suffix != ".lock")

    return journals


def cut(path, done):
    """Cut a journal after its first images, as a run that was killed leaves it."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: done + 1]))


def told(answer):
    """Standard output without the line that has the time."""
    return answer.out.splitlines()[:-1]


# Resumed


def test_to_resume_a_finished_run_prints_the_same_and_measures_nothing(darknet, tmp_path):
    (tmp_path / "pics").mkdir()
    for name in PICTURES:
        (tmp_path / "pics" / os.path.basename(name)).symlink_to(ROOT / name)
    words = ("valid", "pics", "--journal", "x.journal", "--save", "x.jsonl", "--report", "x.html")
    first, saved = darknet(*words), (tmp_path / "x.jsonl").read_bytes()
    assert "Images per second" in (tmp_path / "x.html").read_text()
    for path in (tmp_path / "pics").iterdir():
        path.unlink()
        path.touch()  # empty now
    again = darknet(*words, "--resume")
    assert (again.code, told(again), again.complaints) == (0, told(first), [])
    assert again.out.endswith(" s, no image measured in this run\n")
    assert (tmp_path / "x.jsonl").read_bytes() == saved
    assert "Images per second" not in (tmp_path / "x.html").read_text()
    assert json.loads(darknet(*words, "--resume", "--format", "json").out)["images_per_second"] is None


def test_a_journal_that_is_there_is_not_written_over(darknet, tmp_path):
    words = ("label", "--journal", "x.journal")
    darknet(*words)
    before = (tmp_path / "x.journal").read_bytes()
    answer = darknet(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaints == ["x.journal: is there already; --resume goes on with it, or name another file"]
    assert (tmp_path / "x.journal").read_bytes() == before


def test_a_damaged_journal_gives_the_same_answers_and_says_what_was_damaged(darknet, tmp_path):
    words, path = ("valid", "--journal", "x.journal", "--resume"), tmp_path / "x.journal"
    first = darknet(*words)
    assert first.complaints == [f"x.journal: {NOTHING}"]
    content = path.read_bytes()
    place = content.index(b'"guesses":[[') + len(b'"guesses":[[')
    path.write_bytes(content[:place] + b"9" + content[place + 1 :])  # another class
    again = darknet(*words)
    assert told(again) == told(first)
    passed = "1 damaged line is passed over; images that no other line tells of are measured again"
    assert again.complaints == [f"x.journal: {passed}"]
    path.write_bytes(content.replace(b"center-crop", b"center-drop"))
    answer = darknet(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaints == ["x.journal: its first line is damaged; name another, or begin anew"]


# Forgotten and missing


def test_a_journal_that_was_not_resumed_is_put_aside_and_the_way_back_told(darknet, journals):
    first = darknet("valid")
    assert first.complaints == []
    (path,) = journals()
    cut(path, 3)
    content = path.read_bytes()
    forgotten = darknet("valid")
    assert (forgotten.code, told(forgotten)) == (0, told(first))
    aside = f"{path}~"
    goes_on = f"--resume --journal '{aside}' goes on with them"
    assert forgotten.complaints == [f"{path}: 3 of {IMAGES} images were done and are put aside; {goes_on}"]
    assert [str(found) for found in journals()] == [str(path), aside]
    assert journals()[1].read_bytes() == content
    back = darknet("valid", "--resume", "--journal", aside)
    assert (back.code, told(back), back.complaints) == (0, told(first), [])


@pytest.mark.parametrize("named", [(), ("--journal", "x.journal")], ids=["in the cache", "named"])
@pytest.mark.parametrize("command", ["valid", "label"])
def test_to_resume_where_nothing_is_done_says_so(darknet, journals, command, named):
    answer = darknet(command, "--resume", *named)
    assert answer.code == 0
    file = named[-1] if named else journals()[0]
    assert answer.complaints[0] == f"{file}: {NOTHING}"


# Old


def test_journals_in_the_cache_that_are_old_are_removed_but_not_what_is_resumed(darknet, journals):
    first = darknet("valid")
    darknet("valid", "--limit", "3")
    then = time.time() - 31 * 86400
    for path in journals():
        os.utime(path, (then, then))
    again = darknet("valid", "--resume")
    assert again.out.endswith(" s, no image measured in this run\n")
    assert told(again) == told(first)
    assert len(journals()) == 1


# More guesses than classes


def test_more_guesses_than_classes_are_all_of_them(darknet):
    answer = darknet("valid", "--format", "json", "-t", "99")
    right = {"right": IMAGES, "accuracy": 1, "interval": list(interval(IMAGES, IMAGES))}
    assert json.loads(answer.out)["top-10"] == right
    assert answer.complaints == ["warning: --top 99: more than the 10 classes of data/shapes.data; 10 is taken"]
