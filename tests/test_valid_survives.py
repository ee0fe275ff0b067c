"""Whatever ends a run, it can be resumed, and its results are those of a run that was never ended."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from support_cli import Terminal, finish, limit_files, run, start
from support_journal import plain_journal
from support_valid import draw_pictures, surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX"),
]

IMAGES = 120
CHAINS, KILLS = 5, 11
# Slow enough to be ended in the middle of the list.
SLOWLY = ("--engine", "reference", "--workers", "1", "--batch", "1")
RUN = ("classifier", "valid", "shapes", "pics", *SLOWLY, "--format", "json", "--save", "x.jsonl")
KEPT = ("--journal", "x.journal", "--resume")
PARTLY = "--resume goes on from there"


class Results(NamedTuple):
    """What a run leaves; of its journal, the part that is the same for all runs."""

    summary: dict[str, object]
    saved: bytes
    journal: bytes


def results(folder, out):
    summary = json.loads(out)
    for key in ("seconds", "images_per_second"):
        del summary[key]
    return Results(summary, (folder / "x.jsonl").read_bytes(), plain_journal((folder / "x.journal").read_bytes()))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Pictures, and among them one that cannot be read, one that is missing, and one of unknown class."""
    folder = draw_pictures(tmp_path_factory.mktemp("drawn") / "pics", IMAGES - 3, seed=4)
    (folder / "0007.ring.txt.png").write_text("no picture")
    (folder / "0100.heart.none.png").symlink_to("none")
    shutil.copy(ROOT / "data" / "star.png", folder / "0150.png")
    (folder.parent / "x.list").write_text("".join(f"pics/{name}\n" for name in sorted(os.listdir(folder))))
    return folder


@pytest.fixture
def make_folder(tmp_path, drawn):
    """Make a working directory with the pictures in ``pics``."""

    def make_folder(name="work"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pics").symlink_to(drawn)
        shutil.copy(drawn.parent / "x.list", folder)
        return folder

    return make_folder


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory, drawn):
    """The folder of a run that nothing ends."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "pics").symlink_to(drawn)
    shutil.copy(drawn.parent / "x.list", folder)
    return folder


@pytest.fixture(scope="module")
def whole(whole_folder, cache):
    """The results of that run."""
    found = results(whole_folder, go_on(whole_folder, cache).out)
    assert (found.summary["images"], found.summary["counted"]) == (IMAGES, IMAGES - 3)
    assert found.summary["excluded"] == {"unreadable": 2, "class unknown": 1}
    return found


def words(*more):
    """The command's words for a run over the list."""
    return [*("x.list" if word == "pics" else word for word in RUN), *KEPT, *more]


def go_on(folder, cache):
    """Run to the end, resuming what is there."""
    answer = run(*words(), cwd=folder, env=surroundings(cache))
    assert answer.code == 3, answer.err
    return answer


def count_done(folder):
    """How many images a journal has records of."""
    try:
        return (folder / "x.journal").read_bytes().count(b"\n") - 1
    except FileNotFoundError:
        return -1


def wait_for(process, folder, done):
    while process.poll() is None and count_done(folder) < done:
        time.sleep(0.001)
    assert process.poll() is None, finish(process)


# kill -9


def test_runs_killed_at_more_than_50_moments_end_as_one_that_was_not(make_folder, cache, whole):
    def chain(seed):
        """Kill a run again and again, at some image or some time after its start; return how often."""
        folder, rng = make_folder(f"{seed}"), random.Random(seed)
        moments = sorted(rng.sample(range(IMAGES - 20), KILLS))
        for done in moments:
            process = start(*words(), cwd=folder, env=surroundings(cache))
            if rng.random() < 0.25:
                time.sleep(rng.uniform(0, 0.3))
            else:
                wait_for(process, folder, done)
            process.kill()
            assert finish(process).code == -signal.SIGKILL
        assert results(folder, go_on(folder, cache).out) == whole
        return len(moments)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(chain, range(CHAINS))) > 50


# A torn or damaged end


@pytest.mark.parametrize(
    ("damage", "stays"),
    [
        (lambda content: content[:-20], False),
        (lambda content: content[:-20] + bytes(5000), False),
        (lambda content: content + bytes(5000), False),
        (lambda content: content + bytes(5000) + b"\n", True),
        (lambda content: content[:5000] + bytes(100) + content[5100:], True),
    ],
    ids=["torn", "torn, then zeros", "zeros", "zeros and a line's end", "zeros in the middle"],
)
def test_a_damaged_journal_costs_no_more_than_the_damaged_lines(make_folder, cache, whole, whole_folder, damage, stays):
    folder = make_folder()
    lines = (whole_folder / "x.journal").read_bytes().splitlines(keepends=True)
    (folder / "x.journal").write_bytes(damage(b"".join(lines[: IMAGES // 2])))
    found = results(folder, go_on(folder, cache).out)
    assert found[:2] == whole[:2]
    assert (found.journal != whole.journal) == stays


# Ctrl-C and SIGTERM


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_with_the_totals_so_far(make_folder, cache, whole, signum, code):
    folder = make_folder()
    process = start(*words("--format", "text"), cwd=folder, env=surroundings(cache))
    wait_for(process, folder, 10)
    process.send_signal(signum)
    answer = finish(process)
    done = count_done(folder)
    assert 10 <= done < IMAGES
    assert answer.code == code
    assert answer.complaints[-1] == f"stopped: {done} of {IMAGES} images are done; {PARTLY}"
    assert "Traceback" not in answer.err
    top1, _, counts, _ = answer.out.splitlines()[-4:]
    counted = int(top1.rpartition(" ")[2])
    assert counts == f"{IMAGES} images: {counted} counted, {done - counted} unreadable, {IMAGES - done} not done"
    assert not (folder / "x.jsonl").exists()
    assert results(folder, go_on(folder, cache).out) == whole


def handles_sigterm(process):
    """Whether the process has set a handler for SIGTERM, as it does when it begins to measure."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc to see which signals are handled")
def test_a_second_signal_ends_it_at_once(make_folder, cache):
    folder = make_folder()
    at_length = ("classifier", "validmulti", "shapes", "x.list", "--engine", "reference", "--workers", "1")
    process = start(*at_length, "--batch", "16", "--limit", "16", cwd=folder, env=surroundings(cache))
    while not handles_sigterm(process):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.6)  # one that comes at once counts as the same
    process.send_signal(signal.SIGTERM)
    answer = finish(process)
    said = "stopping, when the images at work are done; once more leaves at once"
    assert (answer.code, answer.out, answer.complaints) == (143, "", [said])


def test_control_c_at_a_terminal_ends_it_with_the_totals_so_far(make_folder, cache, whole):
    folder = make_folder()
    with Terminal(*words("--format", "text"), cwd=folder, env=surroundings(cache)) as terminal:
        while count_done(folder) < 10:
            assert terminal.process.poll() is None
            time.sleep(0.001)
        terminal.type("\x03")
        answer = terminal.finish()
        assert terminal.echoes
    assert answer.code == 130
    done = count_done(folder)
    assert re.search(rf"\ntop-1: .*\n.*\n.*, {IMAGES - done} not done\n.*\n", answer.out)
    assert answer.out.endswith(f"\ndarknet: stopped: {done} of {IMAGES} images are done; {PARTLY}\n")
    assert "Traceback" not in answer.out
    assert results(folder, go_on(folder, cache).out) == whole


# Two runs, a full disk, other inputs


def test_of_two_runs_on_one_journal_the_second_is_refused(make_folder, cache, whole):
    folder = make_folder()
    process = start(*words(), cwd=folder, env=surroundings(cache))
    wait_for(process, folder, 5)
    process.send_signal(signal.SIGSTOP)
    second = run(*words(), cwd=folder, env=surroundings(cache))
    process.send_signal(signal.SIGCONT)
    assert (second.code, second.out) == (1, "")
    assert second.complaints[-1] == "x.journal: another run is writing this journal"
    assert results(folder, finish(process).out) == whole


@pytest.mark.parametrize("size", [100, 700, 9000])
def test_a_full_disk_ends_it_and_what_was_written_is_whole(make_folder, cache, whole, size):
    folder = make_folder()
    answer = run(*words(), cwd=folder, env=surroundings(cache), preexec_fn=limit_files(size))
    done = max(count_done(folder), 0)
    assert answer.code == 1
    assert (json.loads(answer.out)["images"] if done else answer.out) == (IMAGES if done else "")
    assert answer.complaints[-1] == f"x.journal: file too large; {done} of {IMAGES} images are done; {PARTLY}"
    assert "Traceback" not in answer.err
    content = plain_journal((folder / "x.journal").read_bytes())
    assert whole.journal.startswith(content)
    assert content[-1:] in (b"", b"\n")
    assert results(folder, go_on(folder, cache).out) == whole


def test_a_disk_too_full_for_the_records_leaves_the_journal_to_write_them_from(make_folder, cache, whole, whole_folder):
    folder = make_folder()
    room = (whole_folder / "x.journal").stat().st_size + 100
    assert room < len(whole.saved)
    answer = run(*words(), cwd=folder, env=surroundings(cache), preexec_fn=limit_files(room))
    assert (answer.code, answer.complaints[-1]) == (1, "x.jsonl: file too large")
    assert not (folder / "x.jsonl").exists()
    assert results(folder, go_on(folder, cache).out) == whole


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


NAMED = "--journal x.journal "
CHANGES = {
    "weights": lambda folder: flip(folder / "x.weights", 1000),
    "cfg": lambda folder: (folder / "x.cfg").write_text((folder / "x.cfg").read_text() + "# one more line\n"),
    "list": lambda folder: (folder / "y.list").write_text("data/star.png\ndata/arrow.png\n"),
    "classes": lambda folder: (folder / "x.names").write_text("star\n" + "x\n" * 8 + "heart\n"),
}


@pytest.mark.parametrize(
    ("differs", "before", "after"),
    [
        *((what, "valid", "valid") for what in CHANGES),
        *((what, f"valid {NAMED}", f"valid {NAMED}") for what in CHANGES),
        ("command", f"valid {NAMED}", f"validcrop --preprocess center-crop {NAMED}"),
        ("preprocess", f"valid {NAMED}", f"valid --preprocess stretch {NAMED}"),
        ("list", f"valid {NAMED}", f"valid --limit 1 {NAMED}"),
        (r"guesses kept \(--top\)", f"valid {NAMED}", f"valid --top 7 {NAMED}"),
    ],
)
def test_a_journal_of_something_else_is_refused_saying_what(tmp_path, cache, differs, before, after):
    for kind in ("cfg/shapes.cfg", "data/shapes.weights", "data/shapes.names"):
        shutil.copy(ROOT / kind, tmp_path / f"x{Path(kind).suffix}")
    (tmp_path / "x.data").write_text("classes=10\nnames=x.names\n")
    (tmp_path / "y.list").write_text("data/star.png\ndata/heart.png\n")

    def classify(command):
        operands = ("x.data", "x.cfg", "x.weights", "y.list", "--engine", "reference")
        return run("classifier", *command.split(), *operands, cwd=tmp_path, env=surroundings(cache))

    assert classify(before).code == 0
    CHANGES.get(differs if before == after else "", Path)(tmp_path)
    answer = classify(f"{after} --resume")
    assert (answer.code, answer.out) == (1, "")
    says = rf"(?:x[.]journal|/.*[.]jsonl): a journal of something else: (?:.*; )?{differs} .+, now .+; name another.*"
    assert re.fullmatch(says, answer.complaints[-1])
