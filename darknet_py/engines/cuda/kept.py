"""What took long to compile, kept in the cache and checked when it is read."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from ... import cache


def cache_folder() -> Path:
    """Where this engine keeps files."""
    return cache.cache_dir() / "cuda"


def keep(made_of: str, suffix: str, make: Callable[[], bytes]) -> bytes:
    """What `make` returns, which depends on `made_of` alone: from the cache if it is there and undamaged."""
    return cache.keep(_path(made_of, suffix), lambda kept: make(), small=True)


def is_kept(made_of: str, suffix: str) -> bool:
    """Whether `keep` would read it from the cache."""
    try:
        return cache.is_kept(_path(made_of, suffix))
    except cache.UntrustedError:
        return False


def forget(made_of: str, suffix: str) -> None:
    """Remove it from the cache."""
    with contextlib.suppress(OSError):
        _path(made_of, suffix).unlink()


def _path(made_of: str, suffix: str) -> Path:
    return cache_folder() / f"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}{suffix}"
