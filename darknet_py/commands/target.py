"""Files that a command is to write, by names that a user gave."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import UsageError


def check_target(option: str, path: str | None, suffixes: tuple[str, ...], inputs: Sequence[str]) -> None:
    """Raise UsageError, before any work, where `path` names no file that could be written, or one of `inputs`."""
    if path is None:
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not path.lower().endswith(suffixes):
        raise UsageError(f"a name that ends in {' or '.join(suffixes)} is expected", option=f"{option} {path}")
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UsageError("no file can be written there", option=f"{option} {path}")
    spare(option, path, inputs)


def spare(option: str, path: str, inputs: Sequence[str]) -> None:
    """Raise UsageError where a file at `path` would replace one of `inputs`."""
    if os.path.realpath(path) in map(os.path.realpath, inputs):
        raise UsageError("would replace a file that this run reads or writes; name another", option=f"{option} {path}")
