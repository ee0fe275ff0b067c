"""Whatever ends a training run, it goes on to the weights of a run that nothing has ended, bit for bit."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support_cli import Terminal, environment, finish, limit_files, run, start
from support_trainer import write_cfg

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX"),
]

ITERATIONS = 24
# How often runs are ended in a chain, and how many chains there are; for a longer search DARKNET_PY_KILLS is more.
CHAINS, KILLS = 3, int(os.environ.get("DARKNET_PY_KILLS", "11"))
WORDS = ("classifier", "train", "pics", "net.cfg", "--engine", "reference", "--validate-every", "3", "--seed", "5")
TOLD = ("--log", "x.csv", "--report", "x.html")
if sys.platform != "win32":
    import fcntl
    import termios
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KEPT = ("net_last.weights", "net_best.weights", "net.checkpoint")


def surroundings(cache):
    return environment(cache, OPENBLAS_NUM_THREADS="1")


@pytest.fixture
def make_folder(tmp_path, pictures):
    """Make a working directory with the pictures in ``pics`` and the network's cfg."""

    def make_folder(name="work"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pics").symlink_to(pictures)
        write_cfg(folder / "net.cfg", batch=4, learning_rate=0.02, max_batches=ITERATIONS)
        return folder

    return make_folder


def results(folder):
    """What a run leaves, bit for bit, and the figures in its log that are not times."""
    kept = [(folder / "backup" / name).read_bytes() for name in KEPT] + [(folder / "x.html").read_bytes()]
    figures = [line.split(",")[:6] + line.split(",")[8:] for line in (folder / "x.csv").read_text().splitlines()]
    return kept, figures


def go_on(folder, cache):
    """Train to the end, resuming what is there."""
    answer = run(*WORDS, *TOLD, "--resume", cwd=folder, env=surroundings(cache))
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err
    return answer


@pytest.fixture
def whole(make_folder, cache):
    folder = make_folder("whole")
    go_on(folder, cache)
    return results(folder)


def end_somewhere(folder, cache, signum, rng):
    """Start a run, end it after some line of its output or some time, and return its exit code."""
    process = start(*WORDS, *TOLD, "--resume", cwd=folder, env=surroundings(cache))
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 1.5))
    else:
        for _ in range(rng.randrange(5, 40)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))
    process.send_signal(signum)
    answer = finish(process)
    assert "Traceback" not in answer.err
    return answer.code


def test_runs_ended_at_more_than_30_moments_end_as_one_that_was_not(make_folder, cache, whole):
    def chain(seed):
        """End runs again and again, a new one where one is done; return how often one was ended."""
        folder, rng, ended = make_folder(f"{seed}"), random.Random(seed), 0
        while ended < KILLS:
            signum = SIGNALS[(seed + ended) % len(SIGNALS)]
            code = end_somewhere(folder, cache, signum, rng)
            assert code in (0, -signum, 128 + signum)
            ended += code != 0
            if code == 0:
                assert results(folder) == whole
                shutil.rmtree(folder / "backup")
        go_on(folder, cache)
        assert results(folder) == whole
        return ended

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(chain, range(CHAINS))) > 30


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_after_its_iteration_with_a_checkpoint(make_folder, cache, whole, signum, code):
    folder = make_folder()
    process = start(*WORDS, *TOLD, cwd=folder, env=surroundings(cache))
    lines = [process.stdout.readline() for _ in range(9)]
    assert lines[-1].startswith("2, ")
    process.send_signal(signum)
    answer = finish(process)
    assert answer.code == code
    said = [
        "stopping, when this iteration is done; once more leaves at once",
        "stopped; --resume goes on from backup/net.checkpoint",
    ]
    told = [line for line in answer.complaints if not line.startswith("warning: ")]  # of that iteration's validation
    assert told[-2:] == said
    done = int(answer.out.splitlines()[-1].split(",")[0] if answer.out else 2)
    assert done < ITERATIONS
    first = next(line for line in go_on(folder, cache).out.splitlines()[5:] if line[0].isdigit())
    assert first.startswith((f"{done + 1}, ", f"{done}, "))  # the next iteration, or the validation after the last
    assert results(folder) == whole


def test_control_c_at_a_terminal_ends_it_below_the_bar(make_folder, cache, whole):
    folder = make_folder()
    with Terminal(*WORDS, *TOLD, cwd=folder, env=surroundings(cache)) as terminal:
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        terminal.read_until("loss ")
        terminal.type("\x03")
        answer = terminal.finish()
        assert terminal.echoes
    assert answer.code == 130
    assert "Traceback" not in answer.out
    assert answer.out.endswith("darknet: stopped; --resume goes on from backup/net.checkpoint\n")
    go_on(folder, cache)
    assert results(folder) == whole


def test_at_a_terminal_without_standard_error_there_are_lines_and_no_bar(make_folder, cache):
    folder = make_folder()
    with (
        (folder / "errors").open("wb") as errors,
        Terminal(*WORDS, cwd=folder, env=surroundings(cache), stderr=errors) as terminal,
    ):
        answer = terminal.finish()
    assert answer.code == 0
    assert re.search(r"^1, .*: .*, .* avg, .* rate, .* seconds, .* images$", answer.out, re.MULTILINE)
    assert b"\r" not in (folder / "errors").read_bytes()


def test_of_two_runs_in_one_folder_the_second_is_refused(make_folder, cache, whole):
    folder = make_folder()
    process = start(*WORDS, *TOLD, cwd=folder, env=surroundings(cache))
    while not (folder / "backup" / "net.checkpoint").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    second = run(*WORDS, "--resume", cwd=folder, env=surroundings(cache))
    process.send_signal(signal.SIGCONT)
    assert (second.code, second.out) == (1, "")
    assert second.complaints[-1] == "backup/net.checkpoint: another run is training with these files"
    assert finish(process).code == 0
    assert results(folder) == whole


@pytest.mark.parametrize(("size", "file"), [(2000, "net_last.weights"), (20000, "net.checkpoint")])
def test_a_full_disk_ends_it_and_what_was_written_is_whole(make_folder, cache, whole, size, file):
    folder = make_folder()
    answer = run(*WORDS, *TOLD, cwd=folder, env=surroundings(cache), preexec_fn=limit_files(size))
    assert answer.code == 1
    assert answer.complaints[-1].startswith(f"backup/{file}: file too large")
    assert "Traceback" not in answer.err
    assert not (folder / "backup" / file).exists()
    assert not [name for name in os.listdir(folder / "backup") if name.startswith(".")]
    go_on(folder, cache)
    assert results(folder) == whole


def test_a_reader_that_goes_away_costs_nothing(make_folder, cache, whole):
    folder = make_folder()
    process = start(*WORDS, *TOLD, cwd=folder, env=surroundings(cache))
    for _ in range(9):
        process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert finish(process).code == 141
    go_on(folder, cache)
    assert results(folder) == whole


def test_a_damaged_checkpoint_is_refused_and_not_begun_over(make_folder, cache):
    folder = make_folder()
    go_on(folder, cache)
    checkpoint = folder / "backup" / "net.checkpoint"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    answer = run(*WORDS, "--resume", cwd=folder, env=surroundings(cache))
    assert (answer.code, answer.complaints[-1]) == (1, "backup/net.checkpoint: damaged: not as it was written")
    assert Path(checkpoint).read_bytes() == content
