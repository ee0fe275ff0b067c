"""Locks, so that only one run at a time writes a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import DarknetError
from ..files import describe_oserror

if TYPE_CHECKING:
    from filelock import BaseFileLock as Lock


def lock_file(path: str | os.PathLike[str], reason: str, error: type[DarknetError], shown: str = "") -> Lock:
    """Take the lock of the file at `path`, which the caller must release.

    Raises `error` with `reason` where another run holds it; `shown` is what messages call the file.
    """
    from filelock import FileLock, Timeout

    shown = shown or os.fspath(path)
    lock = FileLock(f"{os.fspath(path)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise error(reason, file=shown) from None
    except OSError as failure:
        raise error(describe_oserror(failure), file=shown) from None
    return lock
