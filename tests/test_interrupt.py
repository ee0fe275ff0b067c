"""Ctrl-C ends the program although a library does not return."""

from __future__ import annotations

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
