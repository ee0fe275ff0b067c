"""What took long to compile, kept in the cache and known to be whole when it comes back."""

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
    """What `make` returns, which `made_of` decides: from the cache where it is there and whole."""
    return cache.keep(_path(made_of, suffix), lambda kept: make(), small=True)


def is_kept(made_of: str, suffix: str) -> bool:
    """Whether `keep` would take it from the cache."""
    try:
        return cache.is_kept(_path(made_of, suffix))
    except cache.UntrustedError:
        return False


def forget(made_of: str, suffix: str) -> None:
    """Let the cache no longer have it."""
    with contextlib.suppress(OSError):
        _path(made_of, suffix).unlink()


def _path(made_of: str, suffix: str) -> Path:
    return cache_folder() / f"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}{suffix}"
