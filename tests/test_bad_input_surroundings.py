"""Interrupts, streams that are full or closed, a cache that cannot be made: what the program then does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from support_bad_input import (
    ASK,
    CLASSIFY,
    CLOSED,
    INTERRUPTED,
    PLAIN,
    Row,
    answer_plainly,
    make,
    needs_posix,
    rows,
)
from support_cli import Answer, environment, finish, run_shell, start

from darknet_py.cli import main

pytestmark = needs_posix


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return answer_plainly(tmp_path_factory.mktemp("plain"), cache)


def interrupt(process: subprocess.Popen[str]) -> Answer:
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert (answer.code, answer.complaints) == (INTERRUPTED, [])
    assert "Traceback" not in answer.err
    assert "Exception" not in answer.err
    return answer


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="no /proc to see what the program has loaded")
@pytest.mark.parametrize("library", ["_multiarray_umath", "_umath_linalg"])
def test_control_c_while_it_starts(tmp_path, cache, library):
    process = start("classify", "shapes", "star.png", cwd=tmp_path, env=environment(cache))
    while library not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
    assert interrupt(process).out == ""


def test_control_c_in_the_middle_of_a_run_keeps_what_was_answered(tmp_path, cache):
    command = ("classify", "shapes", "--engine", "reference", "--format", "jsonl", *["star.png"] * 5000)
    process = start(*command, cwd=tmp_path, env=environment(cache))
    assert process.stdout is not None
    first = process.stdout.readline()
    answered = [first, *interrupt(process).out.splitlines()]
    assert {json.loads(line)["file"] for line in answered} == {"star.png"}
    assert len(answered) < 5000


def test_control_c_while_it_waits_for_a_list(tmp_path, cache):
    command = ("classify", "shapes", "-", "--engine", "reference", "--format", "jsonl")
    process = start(*command, cwd=tmp_path, env=environment(cache))
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("star.png\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())
    interrupt(process)


SHAPES = "darknet ops shapes"
STARS = "darknet classify shapes --engine reference " + "star.png " * 20


def closed(fault: str, command: str) -> Row:
    """A row for a line of sh whose reader goes away: the program ends without a message."""
    return Row(fault, {}, "", command, CLOSED)


def left(fault: str, options: str = "") -> Row:
    """A row for a reader who leaves after the first line, before the next picture is named."""
    command = f"mkfifo names; {{ darknet classify shapes --engine reference {options} - <names; echo $? >code; }}"
    reader = "{ exec 3>names; echo star.png >&3; read line; exec <&-; echo star.png >&3; }"
    return closed(fault, f"{command} | {reader}; cat code")


def full(fault: str, command: str) -> Row:
    """A row for a disk that is full."""
    return Row(fault, {}, "standard output: no space left on device", f"{command} >/dev/full; echo $?")


@rows(
    left("pipe with one line read"),
    closed(
        "pipe with nothing read",
        f"mkfifo go; {{ read go <go; {SHAPES}; echo $? >code; }} | {{ exec <&-; echo >go; }}; cat code",
    ),
    left("pipe with one line of JSON read", "--format json"),
    closed("closed", f"{SHAPES} >&-; echo $?"),
    full("full", SHAPES),
    full("full at pictures", STARS),
    full("full at help", "darknet ops --help"),
)
def test_standard_output_that_takes_no_more(tmp_path, cache, row):
    answer = run_shell(row.command, tmp_path, environment(cache, PYTHONUNBUFFERED="1"))
    assert (answer.out, answer.complaints) == (f"{row.code}\n", [row.says] * bool(row.says))
    assert "Traceback" not in answer.err


def test_closed_standard_input_is_the_end_of_input(tmp_path, cache):
    answer = run_shell("darknet classify shapes --engine reference <&-", tmp_path, environment(cache))
    assert (answer.code, answer.out, answer.complaints) == (0, ASK, [])


def test_closed_standard_error_leaves_the_answer_alone(tmp_path, cache, plain):
    make(tmp_path, PLAIN)
    answer = run_shell(f"darknet {CLASSIFY} 2>&-", tmp_path, environment(cache))
    assert (answer.code, answer.untimed) == (0, plain)


@pytest.mark.parametrize(
    "command",
    [
        "classifier valid shapes FOLDER --save a.csv",
        "classifier valid shapes FOLDER",
        "classifier features shapes FOLDER --layer 1 --save a.npy",
        "classifier demo shapes FOLDER/a.mp4 --out b.mp4",
        "export shapes a.onnx",
        "partial CFG WEIGHTS a 3",
    ],
)
def test_a_working_directory_that_was_removed_is_told(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    names = {"FOLDER": ROOT / "data", "CFG": ROOT / "cfg" / "shapes.cfg", "WEIGHTS": ROOT / "data" / "shapes.weights"}
    for word, path in names.items():
        command = command.replace(word, str(path))
    assert main(["-q", *command.split()]) == 1
    expected = "the working directory: no such file or directory; was it removed? cd to another"
    assert capsys.readouterr().err == f"darknet: {expected}\n"


def test_without_a_home_kernels_are_compiled_anew(tmp_path, cache):
    """Unoptimized, which takes half the time."""
    no_home = {"DARKNET_PY_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/dev/null", "NUMBA_OPT": "0"}
    command = ("classify", "shapes", "star.png", "-t", "1", "-nogpu")
    answer = finish(start(*command, cwd=tmp_path, env=environment(cache, **no_home)))
    warning, compiling = answer.complaints
    assert warning.startswith("warning: /dev/null/")
    assert warning.endswith(": kernels are compiled anew at every start, they cannot be kept: not a directory")
    assert compiling.startswith("compiling kernels")
    assert answer.code == 0
    assert re.fullmatch(r"85 64\nstar\.png: Predicted in .* seconds\.\nstar: 0\.\d+\n", answer.out)
