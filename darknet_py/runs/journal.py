"""The file that a run's records are appended to, so that the run can be resumed however it ended.

The first line describes the run, and holds a key that no other journal has; every other line is a record, in the order
in which they came. Lines are sealed, records with that key, so that damaged lines and lines of other journals are
recognized. All results at the end are made from this file, whether there was one run or several.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, Generic, Protocol, TypeVar

import numpy as np

from ..errors import JournalError
from ..files import describe_oserror
from .identity import tell_differences
from .seal import seal, unseal

VERSION = 2
FORMAT = "darknet_py journal"
START = json.dumps({"format": f"{FORMAT} {VERSION}"}, allow_nan=False)[:-1].encode()
SYNC = 0.5  # seconds from one flush to the disk to the next

Record = TypeVar("Record")


class Form(Protocol[Record]):
    """What the records of a run look like: one for each of the units that its work is divided into.

    Attributes
    ----------
    count : int
        Records that a whole run has.
    unit : str
        What a record is about, as a noun whose plural ends in s: ``image``.
    """

    @property
    def count(self) -> int: ...

    @property
    def unit(self) -> str: ...

    def place(self, record: Record) -> int:
        """Which of the units a record is about, from 0."""

    def to_line(self, record: Record) -> bytes:
        """A record as a line of JSON, an object."""

    def from_line(self, line: bytes) -> Record:
        """The inverse of `to_line`; ValueError where the line is no record of such a run."""


class Lock(Protocol):
    """What keeps other runs from the file."""

    def release(self) -> None:
        """Let other runs have the file."""


class Journal(Generic[Record]):
    """Records on disk; made by `journals.open_journal`, closed as a context manager.

    Attributes
    ----------
    done : int
        Units whose record is known.
    damaged : int
        Lines that are not as they were written; they count as not written.
    replaced : str
        What became of an earlier journal in its place, in words; else empty.
    """

    def __init__(self, stream: IO[bytes], file: str, form: Form[Record], lock: Lock | None = None) -> None:
        self.file = file
        self.done = self.damaged = 0
        self.replaced = ""
        self._stream, self._form, self._lock = stream, form, lock
        self._key = b""
        self._fd = stream.fileno()
        self._start = np.full(form.count, -1, np.int64)  # of each unit's line in the file; -1: none
        self._end = 0
        self._dirty, self._closing = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        self._syncer = threading.Thread(target=self._sync, daemon=True)
        self._syncer.start()

    def __enter__(self) -> Journal[Record]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            self._check()

    def close(self) -> None:
        """Flush all that was written to the disk, and let other runs have the file."""
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        self._stream.close()
        if self._lock is not None:
            self._lock.release()

    def __getitem__(self, place: int) -> Record:
        """The record of unit `place`, which must be done.

        Raises
        ------
        JournalError
            Where the file has changed since, or cannot be read.
        """
        try:
            record = self._parse(self._line_at(int(self._start[place])))
            if self._form.place(record) == place:
                return record
        except ValueError:
            pass
        except OSError as failure:
            self._fail(failure)
        reason = f"what was written of {self._form.unit} {place} has changed; {self.state}"
        raise JournalError(reason, file=self.file)

    @property
    def damage(self) -> str:
        """What was found damaged when the run was resumed, in words; empty where nothing was."""
        if not self.damaged:
            return ""
        lines = "1 damaged line is" if self.damaged == 1 else f"{self.damaged} damaged lines are"
        return f"{lines} passed over; {self._form.unit}s that no other line tells of are measured again"

    @property
    def state(self) -> str:
        """How far the run has come, and whether it can be resumed, in words."""
        done = f"{self.done} of {self._form.count} {self._form.unit}s are done"
        return done + "; --resume goes on from there" * self.lasts

    @property
    def lasts(self) -> bool:
        """Whether another run can go on with it."""
        return self._lock is not None

    def missing(self) -> Iterator[int]:
        """Units that are not done."""
        return iter(np.flatnonzero(self._start < 0).tolist())

    def records(self, first: int = 0) -> Iterator[Record]:
        """The records of all that are done from unit `first` on, in the order of their units."""
        return (self[first + place] for place in np.flatnonzero(self._start[first:] >= 0).tolist())

    def consecutive(self, first: int) -> Iterator[Record]:
        """The records of unit `first` and of those after it, up to the first that is not done."""
        for place in range(first, len(self._start)):
            if self._start[place] < 0:
                return
            yield self[place]

    def append(self, records: Iterable[Record]) -> None:
        """Write records, but none of a unit that is done already; they are flushed to the disk within `SYNC` seconds.

        Raises
        ------
        JournalError
            Where they cannot all be written; those that were are whole.
        """
        lines: list[bytes] = []
        starts: dict[int, int] = {}
        end = self._end
        for record in records:
            place = self._form.place(record)
            if self._start[place] < 0 and place not in starts:
                starts[place] = end
                lines.append(seal(self._form.to_line(record), self._key))
                end += len(lines[-1])
        failure = self._write(b"".join(lines)) if lines else None
        for place, start in starts.items():
            if start < self._end:
                self._note(place, start)
        if failure is not None:
            self._fail(failure)

    def begin(self, measured: Mapping[str, str]) -> None:
        """Write the first line."""
        key = secrets.token_hex(8)
        first = {"format": f"{FORMAT} {VERSION}", "key": key, "measured": measured}
        failure = self._write(seal(json.dumps(first, allow_nan=False).encode() + b"\n", b""))
        if failure is not None:
            self._fail(failure)
        self._key = key.encode()

    def resume(self, measured: Mapping[str, str]) -> None:
        """Read what an earlier run has left; a line that is not whole counts as not written.

        Raises
        ------
        JournalError
            Where this is not a journal, or is one of something other than `measured`.
        """
        lines = iter(_read_lines(self._fd))
        first = next(lines, (0, b""))[1]
        if _is_torn_start(first):  # the earlier run ended before anything was done
            self._truncate(0)
            self.begin(measured)
            return
        self._key = self._check_first(first, measured)
        self._end = len(first)
        for start, line in lines:
            if not line.endswith(b"\n"):
                self._truncate(start)
                break
            self._end = start + len(line)
            try:
                self._note(self._form.place(self._parse(line)), start)
            except ValueError:
                self.damaged += 1

    def _check_first(self, first: bytes, measured: Mapping[str, str]) -> bytes:
        """The key in a journal's first line; JournalError where a run of `measured` cannot go on with the journal."""
        started = re.match(rb'\{"format": "%s (\d{1,9})"' % FORMAT.encode(), first)
        if started is None:
            raise JournalError("not a journal; name another file", file=self.file)
        if int(started[1]) != VERSION:
            reason = f"a journal of version {int(started[1])}; this program goes on with version {VERSION} alone"
            raise JournalError(f"{reason}; name another, or begin anew", file=self.file)
        try:
            fields = json.loads(unseal(first, b""))
            before, key = dict(fields["measured"]), str(fields["key"]).encode()
        except (ValueError, KeyError, TypeError):
            raise JournalError("its first line is damaged; name another, or begin anew", file=self.file) from None
        if differences := tell_differences(before, measured):
            reason = f"a journal of something else: {differences}; name another, or begin anew"
            raise JournalError(reason, file=self.file)
        return key

    def _parse(self, line: bytes) -> Record:
        """The record that was written as `line`; ValueError where it is not as it was written."""
        return self._form.from_line(unseal(line, self._key))

    def _note(self, place: int, start: int) -> None:
        if self._start[place] < 0:
            self._start[place] = start
            self.done += 1

    def _write(self, lines: bytes) -> OSError | None:
        """Append lines; where an error occurs, return it, and leave only those of the lines that are whole."""
        self._check()
        start, written, failure = self._end, 0, None
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            while written < len(lines):
                written += os.write(self._fd, memoryview(lines)[written:])
        except OSError as reason:
            failure = reason
            written = lines.rfind(b"\n", 0, written) + 1
            with contextlib.suppress(OSError):
                self._truncate(start + written)
        self._end = start + written
        self._dirty.set()
        return failure

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self._end = size

    def _line_at(self, start: int) -> bytes:
        os.lseek(self._fd, start, os.SEEK_SET)
        parts: list[bytes] = []
        while True:
            part = os.read(self._fd, 4096 << len(parts))
            head, newline, _ = part.partition(b"\n")
            parts += [head, newline]
            if newline or not part:
                return b"".join(parts)

    def _sync(self) -> None:
        """Flush what was written to the disk, until the journal is closed and all of it is there."""
        last = False
        while not last:
            self._dirty.wait()
            self._dirty.clear()
            last = self._closing.is_set()
            try:
                os.fsync(self._fd)
            except OSError as reason:
                self._failure = reason
            self._closing.wait(SYNC)

    def _check(self) -> None:
        if self._failure is not None:
            self._fail(self._failure)

    def _fail(self, reason: OSError) -> None:
        raise JournalError(f"{describe_oserror(reason)}; {self.state}", file=self.file) from None


def _read_lines(fd: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, each with its offset."""
    start = 0
    with open(fd, "rb", closefd=False) as stream:
        stream.seek(0)
        for line in stream:
            yield start, line
            start += len(line)


def _is_torn_start(line: bytes) -> bool:
    """Whether `line` is only the beginning of a journal's first line, perhaps with zeros in place of the rest."""
    start = line.rstrip(b"\0")
    return not start.endswith(b"\n") and START.startswith(start[: len(START)])
