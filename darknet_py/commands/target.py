"""Checks of the paths that a user gives for files to be written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import UsageError
from ..files import check_writable, describe_oserror, resolve


def check_target(option: str, path: str | None, suffixes: tuple[str, ...], inputs: Sequence[str]) -> None:
    """Raise UsageError, before any work, where no file can be written at `path`, or it is one of `inputs`."""
    if path is None:
        return
    target = Path(os.path.realpath(path))
    if not path.lower().endswith(suffixes):
        raise UsageError(f"a name that ends in {' or '.join(suffixes)} is expected", option=f"{option} {path}")
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(target.stat().st_mode):
                raise OSError("not an ordinary file")
        check_writable(target.parent)
    except OSError as reason:
        what = f"no file can be written there: {describe_oserror(reason)}"
        raise UsageError(what, option=f"{option} {path}") from None
    spare(option, path, inputs)


def spare(option: str, path: str | None, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise UsageError where a file at `path` would replace one of `inputs`, which may be packaged."""
    if path is not None and _identify(path) in [_identify(resolve(other)) for other in inputs]:
        raise UsageError("would replace a file that this run reads or writes; name another", option=f"{option} {path}")


def _identify(path: str | os.PathLike[str]) -> object:
    """What identifies a file: not its name alone, as names that differ in case may mean the same one."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
