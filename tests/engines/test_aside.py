"""Calls in another process: their results, and that they end."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from darknet_py.engines.aside import Aside

PATIENCE = 300


class Unreadable:
    """An object that ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def fail(names):
    raise ValueError(names)


def hold(names):
    """Say in a pipe that it has begun, and hold that open."""
    with open(names[0], "w") as stream:
        stream.write("begun\n")
        stream.flush()
        time.sleep(PATIENCE)


def start_and_wait(path):
    """A program that is ended while it does this."""
    with Aside(hold, [path]):
        time.sleep(PATIENCE)


def test_what_a_function_returns_comes_back():
    with Aside(sorted, ["b", "a"]) as aside:
        assert aside.receive(PATIENCE) == ["a", "b"]


def test_an_argument_may_be_larger_than_a_pipe():
    names = [f"{number:09}" for number in range(100_000)]
    with Aside(sorted, names[::-1]) as aside:
        assert aside.receive(PATIENCE) == names


def test_a_process_that_ends_before_it_has_read_its_argument_brings_nothing():
    with Aside(sorted, [Unreadable()] * 100_000) as aside:
        assert aside.receive(PATIENCE) is None


def test_nothing_is_imported_from_the_working_directory(tmp_path, monkeypatch):
    for name in ("pickle.py", "subprocess.py", "darknet_py.py"):
        (tmp_path / name).write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    with Aside(sorted, ["b", "a"]) as aside:
        assert aside.receive(PATIENCE) == ["a", "b"]


def test_of_a_function_that_fails_comes_nothing():
    with Aside(fail, ["a"]) as aside:
        assert aside.receive(PATIENCE) is None


@pytest.mark.parametrize("program", ["", "/nothing/here"])
def test_where_no_process_can_be_started_comes_nothing(program, monkeypatch):
    monkeypatch.setattr(sys, "executable", program)
    with Aside(sorted, ["a"]) as aside:
        assert aside.receive(PATIENCE) is None


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have no names there")
def test_it_ends_with_the_context(pipe):
    with Aside(hold, [str(pipe)]) as aside, pipe.open() as stream:
        assert stream.readline() == "begun\n"
        assert aside.receive(0) is None
        aside._end()
        assert stream.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have no names there")
def test_it_ends_with_the_program(pipe):
    code = f"import sys; sys.path = {sys.path}; import {__name__} as it; it.start_and_wait(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, str(pipe)]) as program, pipe.open() as stream:
        assert stream.readline() == "begun\n"
        program.kill()
        assert stream.read() == ""
