"""Fuzzing a parser: for each of many damaged inputs, only an answer or a DarknetError of one line may result.

``DARKNET_PY_FUZZ=N`` runs N cases, divided among the parsers, instead of `CASES` of each, goes on after failures, and
prints the counts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from darknet_py.errors import DarknetError, DarknetWarning

if sys.platform != "linux":
    pytest.skip("looks at itself as Linux lets it", allow_module_level=True)

import resource

PARSERS = 7
CASES = 2_000
SECONDS = 2.0  # of the processor's time
HANG = 60  # seconds, on a machine that may be busy with other things
DEAD = 240  # seconds until a hang that no signal ends ends the process
MEMORY = 1 << 30  # bytes
LONGEST = 1_000  # characters of a message
SHOWN = 2_000  # characters of an input
ROOT = Path(__file__).parents[2]

BASES, MOST = 1_000, 4
Seeds = Sequence[int]
"""Of one damage each, `MOST` at most; without any, the input is whole."""
CASE = st.tuples(st.integers(0, BASES - 1), st.lists(st.integers(0, 2**32 - 1), max_size=MOST))
"""Which whole input is taken, of `BASES`, and the damages done to it."""


class HangError(BaseException):
    """No answer within `HANG` seconds; the program must not catch this."""


@dataclass
class Tally:
    """The results of the cases.

    Attributes
    ----------
    answers : int
    refusals : Counter
        By the error's class and its reason without names and numbers.
    warned : int
        Cases with a DarknetWarning.
    failures : dict
        By what failed and where: how often, and the smallest case.
    whole : Counter
        Of the cases without damage, how many were answered and how many not.
    """

    answers: int = 0
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    warned: int = 0
    failures: dict[str, tuple[int, Any]] = field(default_factory=dict)
    whole: Counter[bool] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        return self.answers + self.refusals.total() + sum(count for count, _ in self.failures.values())

    def fail(self, failure: BaseException, case: Any) -> None:
        place = next(
            (f"{frame.filename[len(str(ROOT)) + 1 :]}:{frame.lineno}" for frame in _frames(failure)), "elsewhere"
        )
        key = (
            f"{type(failure).__name__} at {place}: {re.sub('[0-9]+', 'N', str(failure)).partition(chr(10))[0][:100]!r}"
        )
        count, smallest = self.failures.get(key, (0, case))
        self.failures[key] = count + 1, min(smallest, case, key=lambda one: len(repr(one)))

    def describe(self, name: str, seconds: float) -> str:
        kinds: Counter[str] = Counter()
        for (kind, _), count in self.refusals.items():
            kinds[kind] += count
        refused = "".join(f", {count:,} {kind}" for kind, count in kinds.most_common())
        lines = [
            f"{name}: {self.cases:,} cases in {seconds:.0f} s ({self.cases / seconds:,.0f}/s):"
            f" {self.answers:,} answers{refused} for {len(self.refusals)} reasons; {self.warned:,} with warnings;"
            f" {sum(count for count, _ in self.failures.values()):,} failures"
        ]
        for key, (count, case) in self.failures.items():
            lines.append(f"  {count:,} times {key}\n    {_show(case)}")
        return "\n".join(lines)


def fuzz(name: str, make: Callable[[int, Seeds], Any], use: Callable[[Any], object]) -> None:
    """Assert that `use` gives an answer or a DarknetError for what `make` returns for each case.

    Parameters
    ----------
    name : str
        Of the parser, for the counts.
    make : function
        The input for a base and the seeds of its damages.
    use : function
        Reads the input as the program does. An AssertionError says that an answer is wrong.
    """
    tally, start = Tally(), time.perf_counter()

    def examine(drawn: tuple[int, Seeds]) -> None:
        case = make(*drawn)
        try:
            answered = watch.run(use, case)
            tally.whole[answered] += not drawn[1]
        except Exception as failure:
            if not wanted:
                note(f"input: {repr(case)[:SHOWN]}")
                raise
            tally.fail(failure, case)

    wanted = math.ceil(int(os.environ.get("DARKNET_PY_FUZZ", 0)) / PARSERS)
    with Watch(tally) as watch:
        if wanted:  # nothing is made smaller, and hypothesis takes as long for a case as a parser
            rng = random.Random()
            for _ in range(wanted):
                examine((rng.randrange(BASES), [rng.getrandbits(32) for _ in range(rng.randrange(MOST + 1))]))
        else:
            any_way = list(HealthCheck)
            checked = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=any_way)
            checked(given(CASE)(examine))()
    if wanted:
        print(f"\n{tally.describe(name, time.perf_counter() - start)}", flush=True)
    if tally.failures:
        pytest.fail(f"{len(tally.failures)} kinds of failures", pytrace=False)
    assert tally.whole[True] > 3 * tally.whole[False], "what was whole before it was damaged is refused"


class Watch:
    """A context in which one case after another is run and watched from outside."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._exit = contextlib.ExitStack()
        self._armed = -math.inf

    def __enter__(self) -> Watch:
        with self._exit as stack:
            self._output = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            terminal = stack.enter_context(open(os.dup(2), "wb", buffering=0))
            self._terminal = terminal
            for name in ("stdout", "stderr"):
                stack.enter_context(_redirected(name, self._output.fileno()))
            # What is logged, and what is raised where nobody can catch it, would go to pytest and not to stderr.
            stack.enter_context(_replaced(logging.getLogger(), "handlers", []))
            stack.enter_context(_replaced(sys, "unraisablehook", sys.__unraisablehook__))
            stack.enter_context(_replaced(threading, "excepthook", threading.__excepthook__))
            stack.callback(faulthandler.cancel_dump_traceback_later)
            stack.callback(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, _hang))
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def run(self, use: Callable[[Any], object], case: Any) -> bool:
        """Count the result of one case, and return whether it is an answer.

        Raises AssertionError, or the case's own exception, where the result is neither an answer nor a refusal.
        """
        self._arm()
        peak = _peak()
        refusal = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            signal.setitimer(signal.ITIMER_REAL, HANG)
            start = time.thread_time()
            try:
                use(case)
            except DarknetError as error:
                refusal = error
            except HangError:
                raise AssertionError(f"no answer in {HANG} s") from None
            finally:
                seconds = time.thread_time() - start
                signal.setitimer(signal.ITIMER_REAL, 0)
        self._check_output()
        assert seconds < SECONDS, f"{seconds:.1f} s"
        if _peak() > peak:
            # What hypothesis has come to remember since the last peak is in use still.
            grown = _peak() - int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
            assert grown < MEMORY, f"{grown >> 20} MB"
        for warning in caught:
            assert issubclass(warning.category, DarknetWarning), f"{warning.category.__name__}: {warning.message}"
            _check_line(str(warning.message))
        self.tally.warned += bool(caught)
        if refusal is None:
            self.tally.answers += 1
        else:
            _check_line(str(refusal))
            reason = re.sub("'.*'|0x[0-9a-f]+|[0-9]+|(?<=mean ).*|(?<=something else): .*", "N", refusal.reason)
            reason = reason.rpartition(": ")[2]
            self.tally.refusals[type(refusal).__name__, reason] += 1
        return refusal is None

    def _arm(self) -> None:
        """Let the process be ended in `DEAD` seconds, unless this is called again."""
        now = time.monotonic()
        if now - self._armed > DEAD / 10:  # not with each case, as it starts a thread
            faulthandler.dump_traceback_later(DEAD, exit=True, file=self._terminal)
            self._armed = now

    def _check_output(self) -> None:
        size = os.fstat(self._output.fileno()).st_size
        if size:
            self._output.seek(0)
            text = self._output.read()
            self._output.seek(0)
            self._output.truncate()
            raise AssertionError(f"written on stdout or stderr:\n{text[-300:].decode(errors='replace')}")


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A new folder to work in, in memory where there is one: some parsers wait for the disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    before = os.getcwd()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _redirected(name: str, target: int) -> Iterator[None]:
    """Redirect the stream of `sys` of that name, and the descriptor that C libraries write to, to the file `target`."""
    number = {"stdout": 1, "stderr": 2}[name]
    getattr(sys, name).flush()
    before = os.dup(number)
    os.dup2(target, number)
    try:
        stream = open(number, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
        with stream, _replaced(sys, name, stream):
            yield
    finally:
        os.dup2(before, number)
        os.close(before)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _check_line(message: str) -> None:
    assert message, "an empty message"
    assert len(message) <= LONGEST, f"a message of {len(message)} characters:\n{message[:100]!r}"
    odd = [c for c in message if not c.isprintable() and unicodedata.category(c) in ("Cc", "Zl", "Zp")]
    assert not odd, f"{odd[0]!r} in a message:\n{message!r}"


def _frames(failure: BaseException) -> list[traceback.FrameSummary]:
    """Where the program was when it failed, the innermost first."""
    frames = traceback.extract_tb(failure.__traceback__)
    own = [frame for frame in reversed(frames) if frame.filename.startswith(f"{ROOT}/") and frame.filename != __file__]
    return [frame for frame in own if "/darknet_py/" in frame.filename] or own


def _show(case: Any) -> str:
    """The case, or the file that it is written to where it is long."""
    text = repr(case)
    if len(text) <= SHOWN:
        return text
    with tempfile.NamedTemporaryFile("w", prefix="fuzz-", suffix=".txt", delete=False) as stream:
        stream.write(text)
    return f"{text[:200]}... ({len(text)} characters, in {stream.name})"
