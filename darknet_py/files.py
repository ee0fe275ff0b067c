"""Finding and reading the files that a user names."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import DarknetError

if sys.platform != "win32":
    import fcntl

PACKAGE = Path(__file__).parent
# An installed package carries cfg/ and data/ under share/; a checkout has them beside the package.
SHARE = PACKAGE / "share" if (PACKAGE / "share").is_dir() else PACKAGE.parent
BINARY = re.compile(r"[\0-\x08\x0e-\x1f]")  # which no text has


def resolve(path: str | os.PathLike[str]) -> Path:
    """The file or folder at `path`, or else the one of that name that comes with the package.

    Packaged are ``cfg/NAME`` and ``data/NAME``; NAME alone is looked for in both. Where there is neither,
    `path` itself is returned, for its reader to report.
    """
    given = Path(path)
    if given.is_absolute() or os.path.lexists(given):
        return given
    in_folder = given.parts[:1] in (("cfg",), ("data",))
    candidates = [SHARE / given] if in_folder else [SHARE / folder / given for folder in ("cfg", "data")]
    if ".." in given.parts or (not in_folder and len(given.parts) != 1):
        return given
    return next((candidate for candidate in candidates if os.path.exists(candidate)), given)


def lasting(path: str) -> str:
    """A file's path that holds in another working directory too; that of a packaged file holds on any machine."""
    return os.path.abspath(path) if os.path.lexists(path) else path


def check_regular(path: Path, error: type[DarknetError], shown: str | os.PathLike[str] | None = None) -> int:
    """Raise `error` unless `path` is an ordinary file; return its size in bytes."""
    shown = path if shown is None else shown
    if not os.fspath(shown):  # its path is the working directory
        raise error("a name is expected, of a file", file=shown)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise error("no such file", file=shown) from None
    except (OSError, ValueError) as reason:  # ValueError: a NUL byte in the path
        raise error(describe_oserror(reason), file=shown) from None
    if stat.S_ISDIR(status.st_mode):
        raise error("is a folder; a file is expected", file=shown)
    if not stat.S_ISREG(status.st_mode):
        raise error("is a device, a pipe or a socket; an ordinary file is expected", file=shown)
    return status.st_size


def read_bytes(
    path: Path,
    error: type[DarknetError],
    shown: str | os.PathLike[str] | None = None,
    most: int | None = None,
) -> bytes:
    """The content of an ordinary file of at most `most` bytes; `error` where it cannot be read."""
    size = check_regular(path, error, shown)
    shown = path if shown is None else shown
    if most is not None and size > most:
        raise error(f"{size} bytes; at most {most} are expected here", file=shown)
    try:
        with path.open("rb") as stream:
            content = stream.read(size + 1)
    except OSError as reason:
        raise error(describe_oserror(reason), file=shown) from None
    if len(content) != size:
        raise error("changed while it was read; try again", file=shown)
    return content


def digest_bytes(content: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    import hashlib  # which loads OpenSSL

    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path, error: type[DarknetError]) -> str:
    """SHA-256 of a file, in hexadecimal; `error` where it cannot be read."""
    import hashlib  # which loads OpenSSL

    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as reason:
        raise error(describe_oserror(reason), file=path) from None
    return digest.hexdigest()


def read_text(
    path: Path,
    error: type[DarknetError],
    shown: str | os.PathLike[str] | None = None,
    most: int | None = None,
) -> str:
    """The text of a file, as `decode_text` returns it; `error` also where the file cannot be read."""
    return decode_text(read_bytes(path, error, shown, most), error, path if shown is None else shown)


def decode_text(raw: bytes, error: type[DarknetError], shown: str | os.PathLike[str]) -> str:
    """A file's content as text: UTF-8, with or without a byte order mark, or else latin-1; lines end in ``\\n`` alone.

    Raises
    ------
    error
        Where it is UTF-16 or UTF-32, or has control characters that no text has.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise error("UTF-16 or UTF-32 text; save it as UTF-8", file=shown)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    odd = BINARY.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise error(f"byte 0x{ord(odd[0]):02x}: not a text file", file=shown, line=line)
    return text


def write_atomically(
    path: str | os.PathLike[str],
    parts: Iterable[bytes | memoryview],
    error: type[DarknetError],
    mode: int = 0o666,
) -> None:
    """Write `parts`, one after another, as the file at `path`; nothing or all of it; `error` where that fails.

    An existing file is replaced and keeps its permissions; of a link, the target is replaced. A new one gets `mode`
    as far as the umask allows. When this returns, all of it is on the disk. A process that is killed leaves nothing
    behind where the file system has files without a name, else a file whose name begins with a dot.
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError as reason:  # a NUL byte in the path
        raise error(describe_oserror(reason), file=path) from None
    replaced = os.path.exists(target)
    if replaced:
        check_regular(target, error, path)
    partial = target.parent / f".{os.urandom(8).hex()}"
    try:
        descriptor, named = _open_partial(partial, mode)
        with contextlib.ExitStack() as used:
            with open(descriptor, "wb") as stream:
                used.enter_context(_in_use(descriptor))
                for part in parts:
                    stream.write(part)
                stream.flush()
                if replaced and hasattr(os, "fchmod"):
                    os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
                os.fsync(descriptor)
                if not named:
                    # src_dir_fd is not used, but makes Python follow the link.
                    os.link(_name_of(descriptor), partial, src_dir_fd=descriptor, follow_symlinks=True)
            partial.replace(target)
        _sync_folder(target.parent)
    except OSError as reason:
        raise error(describe_oserror(reason), file=path) from None
    finally:
        with contextlib.suppress(OSError):  # there is none, or what is wrong was raised above
            partial.unlink()


def check_writable(folder: Path) -> None:
    """Make and remove a file in a folder; OSError where that fails: some, like /proc, only seem to be writable."""
    partial = folder / f".{os.urandom(8).hex()}"
    descriptor, named = _open_partial(partial, 0o600)
    os.close(descriptor)
    if named:
        partial.unlink()


def make_writable(folder: str | os.PathLike[str]) -> None:
    """Make a folder where it is missing; OSError where that fails, or no file can be made in it."""
    if not os.path.lexists(folder):
        os.makedirs(folder, exist_ok=True)
    check_writable(Path(folder))


def _open_partial(partial: Path, mode: int) -> tuple[int, bool]:
    """Open a new file in the folder of `partial`: without a name where that is possible, else with that name."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):  # the other way will say what is wrong
            descriptor = os.open(partial.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
            if os.path.exists(_name_of(descriptor)):
                return descriptor, False
            os.close(descriptor)
    return os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode), True


@contextlib.contextmanager
def _in_use(descriptor: int) -> Iterator[None]:
    """Keep `remove_unused` from an open file, even once its descriptor has been closed, as far as there are locks."""
    if sys.platform == "win32":  # which removes no open file
        yield
        return
    held = os.dup(descriptor)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def remove_unused(path: Path) -> None:
    """Remove an ordinary file, if it exists, unless its writer holds its lock.

    Raises
    ------
    OSError
        Where that fails; BlockingIOError where it is being written.
    """
    if sys.platform == "win32":
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(errno.EAGAIN, "another process is writing it", os.fspath(path)) from None
        except OSError:
            pass  # a file system without locks
        path.unlink()


def _name_of(descriptor: int) -> str:
    """A path by which Linux finds an open file that has no name."""
    return f"/proc/self/fd/{descriptor}"


def _sync_folder(folder: Path) -> None:
    """Write a new name to the disk, where the system can do that for a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def describe_oserror(reason: Exception) -> str:
    """What the operating system said, in words and without its number."""
    text = (isinstance(reason, OSError) and reason.strerror) or str(reason)
    if "embedded null" in text:  # each release of Python words it differently
        return "embedded null byte"
    is_word = text[1:2].islower()  # not an abbreviation
    return text[:1].lower() + text[1:] if is_word else text
