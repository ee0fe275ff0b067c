"""What counts as the failure of a case."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
import warnings

import fuzzing
import numpy as np
import pytest
from fuzzing import Tally, Watch

from darknet_py.errors import CfgError, DarknetWarning


def run(use, case=None):
    tally = Tally()
    with Watch(tally) as watch:
        watch.run(use, case)
    return tally


class TwoLinesError(CfgError):
    """An error that evades what its base class does to all messages."""

    def __str__(self):
        return "a\nb"


def refuse(reason, error=CfgError):
    raise error(reason, file="x.cfg", line=3)


def test_an_answer_a_refusal_and_a_warning_are_counted():
    assert run(lambda case: 1).answers == 1
    assert run(refuse, "option 'a' of 17").refusals == {("CfgError", "option N of N"): 1}
    assert run(lambda case: warnings.warn(DarknetWarning("unknown"), stacklevel=1)).warned == 1


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda case: refuse("x" * 5000), "a message of 50"),
        (lambda case: refuse("", TwoLinesError), r"'\\n' in a message"),
        (lambda case: warnings.warn("odd", stacklevel=1), "UserWarning: odd"),
        (lambda case: print("odd"), "written on stdout or stderr:\nodd"),
        (lambda case: print("odd", file=sys.stderr), "written on stdout or stderr:\nodd"),
        (lambda case: os.write(2, b"odd"), "written on stdout or stderr:\nodd"),
        (lambda case: ctypes.CDLL(None).write(2, b"odd", 3), "written on stdout or stderr:\nodd"),
        (lambda case: logging.getLogger("x").warning("odd"), "written on stdout or stderr:\nodd"),
        (lambda case: raise_elsewhere(), "(?s)written on stdout or stderr:.*ZeroDivisionError"),
    ],
    ids=["long", "two lines", "warning", "print", "stderr", "descriptor", "C", "log", "thread"],
)
def test_what_is_said_beside_the_answer_is_a_failure(use, message):
    with pytest.raises(AssertionError, match=message):
        run(use)


def raise_elsewhere():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()


def test_what_is_no_darknet_error_comes_out():
    with pytest.raises(KeyError):
        run(lambda case: {}[case])


def test_time_and_memory_are_bounded(monkeypatch):
    monkeypatch.setattr(fuzzing, "SECONDS", 0.05)
    monkeypatch.setattr(fuzzing, "MEMORY", 256 << 20)
    monkeypatch.setattr(fuzzing, "HANG", 0.2)
    with pytest.raises(AssertionError, match=r"0\.\d s"):
        run(lambda case: spend(0.1))
    with pytest.raises(AssertionError, match="no answer in"):
        run(lambda case: swallow(10))
    monkeypatch.setattr(fuzzing, "SECONDS", 60)
    monkeypatch.setattr(fuzzing, "HANG", 60)
    with pytest.raises(AssertionError, match=r"\d+ MB"):
        run(lambda case: np.ones((fuzzing._peak() >> 3) + (320 << 17)).sum())


def spend(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def swallow(seconds):
    """A hang that takes every exception for its own."""
    try:
        time.sleep(seconds)
    except Exception:
        return
