"""Standard error, a line at a time; standard output, whose errors can be told from all others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .errors import one_line


def say(text: str, speaker: str = "darknet: ") -> None:
    """Write a line to standard error, at once: those of several threads and processes do not mix."""
    if sys.stderr is not None:
        sys.stderr.write(f"{speaker}{one_line(text)}\n")
        sys.stderr.flush()


def remark(text: str, speaker: str = "darknet: ") -> None:
    """As `say`, unless only errors and warnings are to be shown."""
    if not is_quiet():
        say(text, speaker)


def is_quiet() -> bool:
    """Whether remarks and progress are left out, as the library's own are by the level of its log."""
    return not logging.getLogger(__package__).isEnabledFor(logging.INFO)


class StandardOutputError(OSError):
    """Standard output cannot be written; that a pipe has no reader any more is a BrokenPipeError instead."""


class StandardOutput:
    """A stream whose errors in writing become `StandardOutputError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, as a stream does."""
        with _told_apart():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush, as a stream does."""
        with _told_apart():
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as reason:
        raise StandardOutputError(reason.errno, reason.strerror) from None
