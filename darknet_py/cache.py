"""The cache of what the program can make or fetch again; it runs nothing from there that others could have written."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DarknetWarning, EngineError
from .files import describe_oserror, write_atomically

if sys.platform != "win32":
    import fcntl

LOG = logging.getLogger(__name__)
LINUX = sys.platform == "linux"
CHECKSUM = 4  # bytes, before the content of a file that `keep` writes
PATIENCE = 600.0  # seconds to wait for another process; one that is stopped holds nobody up for longer
ASK = 0.1  # seconds between checks whether it is done


class UntrustedError(OSError):
    """Somebody else may have written what is stored there."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(errno.EPERM, reason, os.fspath(path))


def cache_dir() -> Path:
    """Return the cache's folder, which is neither made nor checked.

    Returns
    -------
    Path
        An absolute path: `DARKNET_PY_CACHE` where it is set, else the user's cache folder on this system.
    """
    override = os.environ.get("DARKNET_PY_CACHE")
    if override:
        return Path(os.path.abspath(os.path.expanduser(override)))
    path = _user_cache()
    # Without a home directory it is a relative "~/...", which would be made in the working directory.
    return path if path.is_absolute() else Path(os.path.abspath(os.sep), ".cache", "darknet_py")


def _user_cache() -> Path:
    if LINUX:  # platformdirs, which knows other systems too, takes 5 ms of a start's 170
        named = os.environ.get("XDG_CACHE_HOME", "")
        return Path(named if os.path.isabs(named) else os.path.expanduser("~/.cache"), "darknet_py")
    from platformdirs import user_cache_path

    try:
        return user_cache_path("darknet_py", appauthor=False)
    except RuntimeError:  # newer versions: there is no home directory
        return Path("~")


def make_folder(folder: Path) -> None:
    """Make a folder of the cache, and those above it that are missing, for this user alone."""
    try:
        folder.mkdir(0o700, exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        folder.mkdir(0o700, exist_ok=True)


def read_private(path: Path) -> bytes:
    """Read a file that this user, or the administrator, has written, and that nobody else could have written.

    As with ssh's StrictModes, that applies to its folder too, and no folder above may let anybody replace others'
    files. The file is checked once it is open, so that nobody can exchange it meanwhile. On Windows, where a user's
    folders are closed to others, nothing is checked.

    Raises
    ------
    UntrustedError
        Where that does not hold, or a link, a pipe or a device is in the file's place.
    OSError
        Where it cannot be read.
    """
    if sys.platform == "win32":
        return path.read_bytes()
    place = Path(os.path.realpath(path.parent.parent), path.parent.name)
    owners = {0, os.geteuid(), os.stat("/").st_uid}  # the owner of / could replace everything
    for above in place.parents:
        if not above.is_dir():
            continue
        status = above.stat()
        if status.st_uid not in owners:
            raise UntrustedError(above, "belongs to another user")
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise UntrustedError(above, "anybody can write there (chmod o-w)")
    folder = _open_private(str(place), os.O_DIRECTORY, owners, path.parent)
    try:
        descriptor = _open_private(path.name, os.O_NONBLOCK, owners, path, folder)
    finally:
        os.close(folder)
    with open(descriptor, "rb") as stream:
        return stream.read()


def _open_private(name: str, flags: int, owners: set[int], shown: Path, folder: int | None = None) -> int:
    """Open a file (with O_DIRECTORY, a folder) that only its owner, who is one of `owners`, can write."""
    try:
        descriptor = os.open(name, flags | os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as reason:
        if reason.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO) and os.path.lexists(shown):
            raise UntrustedError(shown, _tell_kind(shown, flags)) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not (flags & os.O_DIRECTORY or stat.S_ISREG(status.st_mode)):
            raise UntrustedError(shown, _tell_kind(shown, flags))
        if status.st_uid not in owners:
            raise UntrustedError(shown, "belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UntrustedError(shown, "others can write it (chmod go-w)")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _tell_kind(path: Path, flags: int) -> str:
    expected = "a folder" if flags & os.O_DIRECTORY else "an ordinary file"
    return "is a symbolic link" if path.is_symlink() else f"is not {expected}"


def write_private(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file of the cache for `read_private`.

    Raises
    ------
    OSError, EngineError
        Where that fails.
    """
    make_folder(path.parent)
    write_atomically(path, parts, EngineError, 0o600)


def keep(path: Path, make: Callable[[bool], bytes], small: bool = False) -> bytes:
    """Return machine code that takes long to make: read it from the cache, or make it and keep it there.

    Nothing is read from where somebody else might have put it; a damaged file is made anew.

    Parameters
    ----------
    path : Path
        The file; its folder is the user's own.
    make : callable
        Makes the code; its argument says whether the code will be kept.
    small : bool
        Whether it is one of many that take moments each. Otherwise, where several processes want it at the same time,
        one makes it while the others wait, and a warning says so where it cannot be kept.
    """
    folder = path.parent
    try:
        code = _read_whole(path)
        if code is not None:
            return code
        make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        alone = not small and sys.platform != "win32"
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC) if alone else None
    except UntrustedError as reason:
        _warn(Path(reason.filename), f"nothing is taken from there: {reason.strerror}")
        return make(False)
    except OSError as reason:
        if not small:
            _warn(folder, f"they cannot be kept: {describe_oserror(reason)}")
        return make(False)
    with _alone(descriptor):
        with contextlib.suppress(UntrustedError):  # the next start warns of it
            code = _read_whole(path)  # another process may have made it meanwhile
        if code is None:
            code = make(True)
            try:
                write_private(path, [_sum(code), code])
            except (OSError, EngineError) as reason:
                if not small:
                    _warn(folder, f"they cannot be kept: {_explain(reason)}")
    return code


def is_kept(path: Path) -> bool:
    """Say whether `keep` would use the file at `path`.

    Raises
    ------
    UntrustedError
        Where somebody else may have written it.
    """
    return _read_whole(path) is not None


_warned: set[Path] = set()


def _warn(path: Path, reason: str) -> None:
    if path not in _warned:
        _warned.add(path)
        text = f"{path}: kernels are compiled anew at every start, {reason}"
        warnings.warn(DarknetWarning(text), stacklevel=3)


def _explain(reason: OSError | EngineError) -> str:
    return reason.reason if isinstance(reason, EngineError) else describe_oserror(reason)


def _read_whole(path: Path) -> bytes | None:
    """Read what `keep` wrote; None where it is missing or damaged."""
    try:
        content = read_private(path)
    except UntrustedError:
        raise
    except OSError:
        return None
    code = content[CHECKSUM:]
    return code if content[:CHECKSUM] == _sum(code) else None


def _sum(code: bytes) -> bytes:
    """Return the checksum that detects damage; hashlib's digests, which detect forgery, load OpenSSL: 3 of 170 ms."""
    return zlib.crc32(code).to_bytes(CHECKSUM, "little")


@contextmanager
def _alone(folder: int | None) -> Iterator[None]:
    """Lock an open folder against other processes, then close it; the system frees the lock of a dead process.

    None locks nothing: Windows has no flock.
    """
    if folder is None:
        yield
        return
    try:
        _lock(folder)
        yield
    finally:
        os.close(folder)


def _lock(folder: int) -> None:
    """Wait until no other process holds `folder`, as far as its file system has locks."""
    end, told = time.monotonic() + PATIENCE, False
    while time.monotonic() < end:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                LOG.info("waiting for another process that compiles kernels")
            told = True
            time.sleep(ASK)
        except OSError:  # the file system has no locks
            return
