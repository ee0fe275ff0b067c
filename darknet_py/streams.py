"""Standard output whose errors can be told from all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class StandardOutputError(OSError):
    """Standard output cannot be written, but for a pipe that nobody reads any more."""


class StandardOutput:
    """A stream whose errors in writing are `StandardOutputError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As a stream's."""
        with _told_apart():
            return self._stream.write(text)

    def flush(self) -> None:
        """As a stream's."""
        with _told_apart():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as reason:
        raise StandardOutputError(reason.errno, reason.strerror) from None
