"""Errors of the system that name no file, and threads that cannot be started: one line, which blames nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment, run, run_shell

from darknet_py.streams import say

# Changes the program before it starts, then runs it with the arguments.
PROGRAM = """
import sys
import threading
exec(sys.argv.pop(1))
from darknet_py.__main__ import main
sys.exit(main())
"""
NO_THREADS = """
import threading
def start(*arguments, **more):
    raise RuntimeError("can't start new thread")
threading._start_new_thread = threading._start_joinable_thread = start
"""
NO_TEMPORARY_FOLDER = """
import errno, tempfile
def none(*arguments, **more):
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
tempfile._get_default_tempdir = none
"""
NO_LIBRARY = """
import sys
import threading
class None_:
    def find_spec(self, name, *more):
        if name.startswith("PIL."):
            raise ImportError("libzstd.so: failed to map segment from shared object\\nand more")
sys.meta_path.insert(0, None_())
"""
NO_PROCESSES = """
import importlib.util, os
def none(name, *more):
    raise OSError(24, "Too many open files")
importlib.util.find_spec = none
"""


def changed(change, *words, cwd, cache, **more):
    """Run the program changed by some lines; return its exit code, output and messages."""
    command = [sys.executable, "-c", PROGRAM, change, *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, env=environment(cache, **more), capture_output=True, text=True, timeout=PATIENCE
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("command", ["ops shapes", "--help", "--version", "classify --help"])
def test_standard_output_is_blamed_for_its_own_errors(tmp_path, cache, command):
    answer = run_shell(f"darknet {command} >/dev/full; echo $?", tmp_path, environment(cache))
    assert (answer.out, answer.complaints) == ("1\n", ["standard output: no space left on device"])


def test_and_not_for_others(tmp_path, cache):
    code, out, err = changed(NO_PROCESSES, "classify", "shapes", "star.png", cwd=tmp_path, cache=cache)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "darknet: too many open files"


def test_without_a_temporary_folder_and_a_cache_valid_runs_all_the_same(tmp_path, cache):
    """Its journal is in memory then."""
    run("warmup", cwd=tmp_path, env=environment(cache))
    words = ("classifier", "valid", "data/shapes.data", "cfg/shapes.cfg", "data/shapes.weights", "data/shapes.list")
    where = {"cwd": ROOT, "cache": "/dev/null/cache"}
    given = changed("", *words, "--engine", "reference", **where)
    code, out, err = changed(NO_TEMPORARY_FOLDER, *words, "--engine", "reference", **where)
    assert (code, out.splitlines()[:-1]) == (given[0], given[1].splitlines()[:-1])
    if sys.platform == "linux":
        assert code == 0
        assert "top 1: 1.000000" in out
    else:
        assert err.splitlines()[-1] == "darknet: no usable temporary directory found in ['/tmp']"


def test_a_library_that_cannot_be_loaded_is_told_of(tmp_path, cache):
    words = ("classify", "shapes", "star.png", "--engine", "reference")
    code, out, err = changed(NO_LIBRARY, *words, cwd=tmp_path, cache=cache)
    assert (code, out) == (1, "")
    says = "a library cannot be loaded; is there too little memory, or one missing?"
    assert err.splitlines()[-1] == f"darknet: {says} libzstd.so: failed to map segment from shared object"


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["ops", "shapes"]])
def test_what_needs_no_thread_runs_without(tmp_path, cache, words):
    assert changed(NO_THREADS, *words, cwd=tmp_path, cache=cache) == changed("", *words, cwd=tmp_path, cache=cache)


def test_so_do_pictures_on_one_core(tmp_path, cache):
    words = ("classify", "shapes", "star.png", "-t", "1", "-nogpu", "--threads", "1")
    code, out, _ = changed(NO_THREADS, *words, cwd=tmp_path, cache=cache)
    assert code == 0
    assert re.search(r"\nstar: 0\.\d+\n$", out)


def test_a_thread_that_is_needed_and_cannot_be_started_is_told_of(tmp_path, cache):
    words = ("classifier", "valid", "shapes", "--engine", "reference", "--journal", tmp_path / "x.journal")
    code, out, err = changed(NO_THREADS, *words, cwd=ROOT, cache=cache)
    assert (code, out) == (1, "")
    says = "darknet: no thread can be started; are there too many processes, or too little memory?"
    assert err.splitlines()[-1] == says


def test_other_errors_of_the_program_are_not_hidden(tmp_path, cache):
    change = "import darknet_py.cli\ndef run(*_): raise RuntimeError('a fault')\ndarknet_py.cli._run = run"
    command = [sys.executable, "-c", PROGRAM, change]
    done = subprocess.run(command, cwd=tmp_path, env=environment(cache), capture_output=True, text=True)
    assert done.stderr.endswith("RuntimeError: a fault\n")


def test_lines_of_several_threads_do_not_mix(capfd):
    threads = [threading.Thread(target=lambda: [say("x" * 200) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(capfd.readouterr().err.splitlines()) == {f"darknet: {'x' * 200}"}


def test_nothing_that_is_said_is_obeyed_by_a_terminal(capfd):
    say("a\x1b[31m\nb")
    assert capfd.readouterr().err == "darknet: a\\x1b[31m\\nb\n"


def test_without_standard_error_nothing_is_said(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    say("x")
