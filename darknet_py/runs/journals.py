"""Where journals are kept: found by what is run, opened for one run at a time, put aside, removed when they are old."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache import cache_dir, make_folder
from ..errors import DarknetWarning, JournalError
from ..files import describe_oserror
from .journal import Form, Journal, Record
from .lock import lock_file

if TYPE_CHECKING:
    from .lock import Lock

DAYS = 30  # how long the cache keeps a journal after its last change


def usual_path(command: str, names: Iterable[str], settings: Iterable[object]) -> Path:
    """The path of a run's journal in the cache, made from the names of the run's files and from its settings."""
    key = repr([*map(os.path.abspath, names), *settings])
    return cache_dir() / "journals" / f"{command}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"


def open_journal(
    file: str, measured: Mapping[str, str], form: Form[Record], resume: bool, replace: bool = False
) -> Journal[Record]:
    """Open and lock the journal at `file`, for a run whose records look like `form`.

    Parameters
    ----------
    file : str
    measured : mapping
        A description of what is measured: a run whose description differs anywhere cannot go on with this journal.
    form : Form
    resume : bool
        Whether to go on with what is there, if anything is.
    replace : bool
        Without `resume`, whether to put what is there aside, as ``FILE~``, rather than refuse it.

    Raises
    ------
    JournalError
        Where another run holds the journal, it is of something else, or it cannot be written.
    """
    path = os.path.realpath(file)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise JournalError("no file can be written in that folder", file=file)
    if os.path.exists(path) and not os.path.isfile(path):
        raise JournalError("not an ordinary file", file=file)
    with contextlib.ExitStack() as undo:
        lock, replaced = _lock(path, file), ""
        undo.callback(lock.release)
        try:
            if not resume and os.path.exists(path) and os.path.getsize(path):
                if not replace:
                    raise JournalError("is there already; --resume goes on with it, or name another file", file=file)
                replaced = _put_aside(path, measured, form)
            journal = Journal(open(path, "a+b", buffering=0), file, form, lock)  # noqa: SIM115
            undo.callback(journal.close)
            journal.replaced = replaced
            (journal.resume if os.path.getsize(path) else journal.begin)(measured)
        except OSError as reason:
            raise JournalError(describe_oserror(reason), file=file) from None
        undo.pop_all()
    return journal


def open_usual(path: Path, measured: Mapping[str, str], form: Form[Record], resume: bool) -> Journal[Record]:
    """Open the journal at `path` in the cache; where none can be kept there, warn, and open one that is not kept."""
    try:
        make_folder(path.parent)
        writable = os.access(path.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        reason = f"{path.parent}: no journal can be kept there; this run cannot be taken up again"
        warnings.warn(DarknetWarning(reason), stacklevel=2)
        return open_scratch(measured, form)
    remove_old(path.parent, path)
    return open_journal(str(path), measured, form, resume, replace=True)


def open_scratch(measured: Mapping[str, str], form: Form[Record]) -> Journal[Record]:
    """A journal that no run can be resumed from, for where none can be kept; in memory where no file can be made."""
    try:
        stream = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        stream = open(os.memfd_create("journal"), "w+b")  # noqa: SIM115
    journal = Journal(stream, "journal", form)
    journal.begin(measured)
    return journal


def remove_old(folder: Path, path: Path) -> None:
    """Remove the journals in `folder` that have not changed for `DAYS`, except that at `path` and those in use."""
    oldest = time.time() - DAYS * 86400
    names = {str(found).removesuffix(".lock") for found in folder.glob("*.jsonl*")}
    for name in names - {str(path)}:
        with contextlib.suppress(OSError, JournalError):
            if os.path.exists(name) and os.path.getmtime(name) >= oldest:
                continue
            remove_journal(name)


def remove_journal(path: str) -> None:
    """Remove a journal, and the file of its lock.

    Raises
    ------
    JournalError
        Where a run is writing it.
    OSError
        Where it cannot be removed.
    """
    lock = _lock(path, path)
    try:
        Path(path).unlink(missing_ok=True)
        with contextlib.suppress(PermissionError):  # Windows removes no open file; there the release removes it
            Path(f"{path}.lock").unlink(missing_ok=True)
    finally:
        lock.release()


def _lock(path: str, file: str) -> Lock:
    """Take the lock of the journal at `path`, which messages call `file`."""
    return lock_file(path, "another run is writing this journal", JournalError, file)


def _put_aside(path: str, measured: Mapping[str, str], form: Form[Record]) -> str:
    """Rename a journal to ``FILE~``; remove it where it has no records, or that one has more; say what was done."""
    aside = f"{path}~"
    lock = _lock(aside, aside)
    try:
        done = _count_done(path, measured, form)
        kept = _count_done(aside, measured, form) if done < form.count else 0
        if done == 0 or kept > max(done, 0):
            os.remove(path)
        else:
            os.replace(path, aside)
            os.utime(aside)  # its days in the cache begin now
    finally:
        lock.release()
    if done == 0:
        return ""
    what = f"{done} of {form.count} {form.unit}s were done" if done > 0 else "what was there is of another run"
    if kept > max(done, 0):
        what += f" and written over, for {aside} has {kept}; --resume --journal {shlex.quote(aside)} goes on with those"
    elif done > 0:
        what += f" and are put aside; --resume --journal {shlex.quote(aside)} goes on with them"
    else:
        what += f" and put aside as {aside}"
    return what


def _count_done(path: str, measured: Mapping[str, str], form: Form[Record]) -> int:
    """How many records are in the journal at `path`, if one is there; -1 where the run cannot go on with it."""
    if not os.path.exists(path):
        return 0
    try:
        with Journal(open(path, "r+b", buffering=0), path, form) as journal:
            journal.resume(measured)
            return journal.done
    except JournalError:
        return -1
