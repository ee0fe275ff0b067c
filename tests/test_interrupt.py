"""Signals end the program even where a library does not return, or nobody reads what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment

STUCK = """
import ctypes
import threading
from darknet_py.interrupt import end_on_interrupt
end_on_interrupt()
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
library.pthread_mutex_lock(mutex)
threading.Timer(0.2, print, ["waits"], {"flush": True}).start()  # once the line below has gone to wait
library.pthread_mutex_lock(mutex)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a mutex of zeros is one of Linux's")
def test_a_library_that_does_not_return_is_left(cache):
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "waits\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=PATIENCE) == ("", "")
        finally:
            process.kill()
    assert process.returncode == 130


UNREAD = """
import os
import signal
from darknet_py.interrupt import stop_on_signals
reader, writer = os.pipe()
os.dup2(writer, 2)
os.close(writer)
os.close(reader)
with stop_on_signals() as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    print(stop.signum)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a program there")
def test_a_stop_that_nobody_reads_of_is_heard(cache):
    done = subprocess.run(
        [sys.executable, "-c", UNREAD], cwd=ROOT, env=environment(cache), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{signal.SIGTERM.value}\n")


HUNG_UP = """
import os
import signal
from darknet_py.interrupt import stop_on_signals
with stop_on_signals() as stop:
    os.kill(os.getpid(), signal.SIGHUP)
    print(stop.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no terminal hangs up there")
@pytest.mark.parametrize(("before", "expected"), [("DFL", "129\n"), ("IGN", "128\n")])
def test_a_terminal_that_is_closed_asks_for_an_end_unless_nohup_says_not_to(cache, before, expected):
    code = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_{before})\n{HUNG_UP}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(cache), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


# On a terminal that is closed when the program has said so; it tells of its end, as one that stops does, in vain.
ON_A_TERMINAL = """
import time
from darknet_py.interrupt import stop_on_signals
with stop_on_signals() as stop:
    print("ready", flush=True)
    while not stop.signum:
        time.sleep(0.01)
    print("stopped", flush=True)
raise SystemExit(stop.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_what_is_told_to_a_closed_terminal_changes_no_exit_code(cache):
    import pty

    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has changed, where it runs these tests
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-c", ON_A_TERMINAL], environment(cache))
    while b"ready" not in os.read(terminal, 100):
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGHUP


# What hears of signals is slow, as on a busy machine.
LATE = """
import os, signal, time
read = os.read

def read_late(*arguments):
    data = read(*arguments)
    time.sleep(0.3)
    return data

os.read = read_late
from darknet_py.interrupt import end_on_interrupt, stop_on_signals
end_on_interrupt()
with stop_on_signals() as stop:
    os.kill(os.getpid(), signal.SIGINT)
    while not stop.signum:
        pass
time.sleep(0.6)
print("ended by itself")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_who_was_asked_to_stop_ends_by_itself(cache):
    done = subprocess.run(
        [sys.executable, "-c", LATE], cwd=ROOT, env=environment(cache), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "ended by itself\n")
