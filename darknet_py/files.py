"""Finding and reading the files that a user names."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from .errors import DarknetError

PACKAGE = Path(__file__).parent
# An installed package carries cfg/ and data/ under share/; a checkout has them beside the package.
SHARE = PACKAGE / "share" if (PACKAGE / "share").is_dir() else PACKAGE.parent
BINARY = re.compile(r"[\0-\x08\x0e-\x1f]")  # what no text has


def resolve(path: str | os.PathLike[str]) -> Path:
    """The file or folder at `path`, or else the one of that name that comes with the package.

    Packaged are ``cfg/NAME`` and ``data/NAME``; NAME alone is looked for in both. Where there is neither,
    `path` itself comes back, for its reader to report.
    """
    given = Path(path)
    if given.is_absolute() or os.path.lexists(given):
        return given
    in_folder = given.parts[:1] in (("cfg",), ("data",))
    candidates = [SHARE / given] if in_folder else [SHARE / folder / given for folder in ("cfg", "data")]
    if ".." in given.parts or (not in_folder and len(given.parts) != 1):
        return given
    return next((candidate for candidate in candidates if os.path.exists(candidate)), given)


def check_regular(path: Path, error: type[DarknetError], shown: str | os.PathLike[str] | None = None) -> int:
    """Raise `error` unless `path` is an ordinary file; return its size in bytes."""
    shown = path if shown is None else shown
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


def digest_file(path: Path, error: type[DarknetError]) -> str:
    """SHA-256 of a file, in hexadecimal; `error` where it cannot be read."""
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
    """The text of a file: UTF-8, with or without a byte order mark, or else latin-1; lines end in ``\\n`` alone.

    Raises
    ------
    error
        Where the file cannot be read, is UTF-16 or UTF-32, or has control characters that no text has.
    """
    raw = read_bytes(path, error, shown, most)
    shown = path if shown is None else shown
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
) -> None:
    """Write `parts`, one after another, as the file at `path`; nothing or all of it; `error` where that fails.

    A file that is there is replaced; of a link, what it points at.
    """
    import tempfile

    target = Path(os.path.realpath(path))
    if os.path.exists(target):
        check_regular(target, error, path)
    partial = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
            partial = Path(stream.name)
            for part in parts:
                stream.write(part)
        partial.chmod(0o644)
        partial.replace(target)
    except OSError as reason:
        raise error(describe_oserror(reason), file=path) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def describe_oserror(reason: Exception) -> str:
    """What the operating system said, in words and without its number."""
    text = (isinstance(reason, OSError) and reason.strerror) or str(reason)
    return text[:1].lower() + text[1:]
