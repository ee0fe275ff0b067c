"""The file that a run's outcomes are appended to, so that it can be taken up again after any end.

The first line tells what is measured; every other line is an outcome, in the order in which they came. All that is told
at the end is read from here, whether there was one run or several.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from ..cache import cache_dir
from ..errors import JournalError
from ..files import describe_oserror
from .outcome import Outcome

FORMAT = "darknet_py journal 1"
START = json.dumps({"format": FORMAT})[:-1].encode()
SYNC = 0.5  # seconds between the moments when what was written reaches the disk
SEEN = 60  # characters of a value in a message


class Journal:
    """Outcomes on disk; made by `open_journal`, closed as a context manager.

    Attributes
    ----------
    done : int
        Images whose outcome is known.
    """

    def __init__(self, stream: IO[bytes], file: str, images: int, lock: Any = None) -> None:
        self.file = file
        self.done = 0
        self._stream, self._lock = stream, lock
        self._fd = stream.fileno()
        self._start = np.full(images, -1, np.int64)  # of each image's line
        self._end = 0
        self._dirty, self._closing = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        self._syncer = threading.Thread(target=self._sync, daemon=True)
        self._syncer.start()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            self._check()

    def close(self) -> None:
        """Let all that was written reach the disk, and others have the file."""
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        self._stream.close()
        if self._lock is not None:
            self._lock.release()

    def __getitem__(self, index: int) -> Outcome:
        """The outcome of image `index`, which must be done."""
        return Outcome.from_line(self._line_at(int(self._start[index])))

    @property
    def state(self) -> str:
        """How far it has come, and what can be made of that."""
        lasts = self._lock is not None
        return f"{self.done} of {len(self._start)} images are done" + "; --resume goes on from there" * lasts

    def missing(self) -> Iterator[int]:
        """Images that are not done."""
        return iter(np.flatnonzero(self._start < 0).tolist())

    def outcomes(self) -> Iterator[Outcome]:
        """The outcomes of all that are done, in the list's order."""
        return (self[index] for index in np.flatnonzero(self._start >= 0).tolist())

    def consecutive(self, first: int) -> Iterator[Outcome]:
        """The outcomes of image `first` and of those after it, up to the first that is not done."""
        for index in range(first, len(self._start)):
            if self._start[index] < 0:
                return
            yield self[index]

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Write outcomes; within `SYNC` seconds they are on disk.

        Raises
        ------
        JournalError
            Where they cannot be written; what was written before is whole.
        """
        for outcome in outcomes:
            start = self._end
            self._write(outcome.to_line().encode())
            self._note(outcome.index, start)

    def begin(self, measured: Mapping[str, str]) -> None:
        """Write the first line."""
        self._write(json.dumps({"format": FORMAT, "measured": measured}).encode() + b"\n")

    def resume(self, measured: Mapping[str, str]) -> None:
        """Take up what an earlier run has left; a line that is not whole counts as not written.

        Raises
        ------
        JournalError
            Where this is no journal, or one of something else than `measured`.
        """
        lines = iter(_read_lines(self._fd))
        first = next(lines, (0, b""))[1]
        if _is_torn_start(first):  # before anything was done
            self._truncate(0)
            self.begin(measured)
            return
        self._check_measured(first, measured)
        self._end = len(first)
        for start, line in lines:
            if not line.endswith(b"\n"):
                self._truncate(start)
                break
            self._end = start + len(line)
            with contextlib.suppress(ValueError):
                outcome = Outcome.from_line(line)
                if 0 <= outcome.index < len(self._start):
                    self._note(outcome.index, start)

    def _check_measured(self, first: bytes, measured: Mapping[str, str]) -> None:
        try:
            fields = json.loads(first)
            known = fields["format"] == FORMAT
            before = dict(fields["measured"])
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise JournalError("not a journal of this version; name another file", file=self.file)
        differing = [key for key in {**before, **measured} if before.get(key) != measured.get(key)]
        if differing:
            what = "; ".join(f"{key} {_seen(before.get(key))}, now {_seen(measured.get(key))}" for key in differing)
            raise JournalError(f"a journal of something else: {what}; name another, or begin anew", file=self.file)

    def _note(self, index: int, start: int) -> None:
        self.done += self._start[index] < 0
        self._start[index] = start

    def _write(self, line: bytes) -> None:
        self._check()
        start = self._end
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            left = memoryview(line)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as reason:
            with contextlib.suppress(OSError):
                self._truncate(start)
            self._fail(reason)
        self._end = start + len(line)
        self._dirty.set()

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self._end = size

    def _line_at(self, start: int) -> bytes:
        os.lseek(self._fd, start, os.SEEK_SET)
        parts: list[bytes] = []
        while True:
            part = os.read(self._fd, 4096 << len(parts))
            head, newline, _ = part.partition(b"\n")
            parts.append(head)
            if newline or not part:
                return b"".join(parts)

    def _sync(self) -> None:
        """Bring what was written to the disk, until the journal is closed and all of it is there."""
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


def usual_path(command: str, names: Iterable[str], settings: Iterable[object]) -> Path:
    """Where in the cache a run's journal lies, told by the names of its files and by its settings."""
    key = repr([*map(os.path.abspath, names), *settings])
    return cache_dir() / "journals" / f"{command}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"


def open_journal(file: str, measured: Mapping[str, str], images: int, resume: bool, replace: bool = False) -> Journal:
    """The journal at `file`, locked, for a run over `images` images.

    Parameters
    ----------
    file : str
    measured : mapping
        What is measured, in words: a run that differs in any of them cannot go on with this journal.
    images : int
        In the list.
    resume : bool
        Go on with what is there, if anything is.
    replace : bool
        Without `resume`: put what is there aside, as ``FILE~``; else it is refused.

    Raises
    ------
    JournalError
        Where another run holds the journal, it is of something else, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    path = os.path.realpath(file)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise JournalError("no file can be written in that folder", file=file)
    lock = FileLock(f"{path}.lock")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise JournalError("not an ordinary file", file=file)
        lock.acquire(timeout=0)
        if not resume and os.path.exists(path) and os.path.getsize(path):
            if not replace:
                raise JournalError("is there already; --resume goes on with it, or name another file", file=file)
            os.replace(path, f"{path}~")
        stream = open(path, "a+b", buffering=0)  # noqa: SIM115
    except Timeout:
        raise JournalError("another run is writing this journal", file=file) from None
    except OSError as reason:
        lock.release()
        raise JournalError(describe_oserror(reason), file=file) from None
    except JournalError:
        lock.release()
        raise
    journal = Journal(stream, file, images, lock)
    try:
        (journal.resume if os.path.getsize(path) else journal.begin)(measured)
    except BaseException:
        journal.close()
        raise
    return journal


def open_scratch(measured: Mapping[str, str], images: int) -> Journal:
    """A journal that nothing can go on with, for where none can be kept; in memory where no file can be made."""
    try:
        stream = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        stream = open(os.memfd_create("journal"), "w+b")  # noqa: SIM115
    journal = Journal(stream, "journal", images)
    journal.begin(measured)
    return journal


def _read_lines(fd: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, with where each begins."""
    start = 0
    with open(fd, "rb", closefd=False) as stream:
        stream.seek(0)
        for line in stream:
            yield start, line
            start += len(line)


def _is_torn_start(line: bytes) -> bool:
    """Whether `line` is the beginning of a journal's first line, and perhaps zeros that took the place of the rest."""
    start = line.rstrip(b"\0")
    return not start.endswith(b"\n") and START.startswith(start[: len(START)])


def _seen(value: object) -> str:
    text = str(value)
    return text if len(text) <= SEEN else f"{text[:SEEN]}..."
