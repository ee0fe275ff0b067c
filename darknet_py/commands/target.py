"""Files that a command is to write, by names that a user gave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..files import check_writable


def check_target(option: str, path: str | None, suffixes: tuple[str, ...], inputs: Sequence[str]) -> None:
    """Raise UsageError, before any work, where `path` names no file that could be written, or one of `inputs`."""
    if path is None:
        return
    folder = Path(os.path.abspath(path)).parent
    if not path.lower().endswith(suffixes):
        raise UsageError(f"a name that ends in {' or '.join(suffixes)} is expected", option=f"{option} {path}")
    try:
        if os.path.isdir(path):
            raise IsADirectoryError
        check_writable(folder)
    except OSError:
        raise UsageError("no file can be written there", option=f"{option} {path}") from None
    spare(option, path, inputs)


def spare(option: str, path: str, inputs: Sequence[str]) -> None:
    """Raise UsageError where a file at `path` would replace one of `inputs`."""
    if os.path.realpath(path) in map(os.path.realpath, inputs):
        raise UsageError("would replace a file that this run reads or writes; name another", option=f"{option} {path}")
