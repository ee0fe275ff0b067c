"""Compiling kernels, and keeping them for the next start."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba

from ...cache import cache_dir
from ...errors import DarknetWarning
from ...files import describe_oserror
from .isa import ISA

_kernels: list[tuple[Any, str]] = []
_loaded = False


def _key() -> str:
    """What the compiled kernels depend on beyond the function that Numba itself looks at."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {ISA.name}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _open_cache() -> Path | None:
    """The folder of this version's kernels, made if need be; None where it cannot be written."""
    folder = cache_dir() / "numba" / _key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as reason:
        text = f"{folder}: kernels are compiled anew at every start, they cannot be kept: "
        warnings.warn(DarknetWarning(text + describe_oserror(reason)), stacklevel=2)
        return None
    numba.config.CACHE_DIR = str(folder)
    return folder


_folder = _open_cache()


def kernel(signature: str) -> Callable[[Callable[..., None]], Any]:
    """Decorator: a function that `load_kernels` compiles for the types in `signature`."""

    def decorate(function: Callable[..., None]) -> Any:
        dispatcher = numba.njit(nogil=True, cache=_folder is not None)(function)
        _kernels.append((dispatcher, signature))
        return dispatcher

    return decorate


def load_kernels() -> None:
    """Compile the kernels, or take them from the cache; a broken cache is made anew."""
    global _loaded
    if _loaded:
        return
    if _folder is None:
        print("darknet: compiling kernels for this machine", file=sys.stderr, flush=True)
    elif not any(_folder.rglob("*.nbi")):
        print("darknet: compiling kernels for this machine, once", file=sys.stderr, flush=True)
    try:
        _compile_all()
    except Exception:  # unpickling a damaged file raises nearly everything
        if _folder is None:
            raise
        shutil.rmtree(_folder, ignore_errors=True)
        _folder.mkdir(parents=True, exist_ok=True)
        _compile_all()
    _loaded = True


def _compile_all() -> None:
    for dispatcher, signature in _kernels:
        dispatcher.compile(signature)
