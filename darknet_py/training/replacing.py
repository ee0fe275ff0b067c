"""Files that a run writes over once it is clear that it can begin; until then what they held comes back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError
from ..files import read_bytes, write_atomically

if TYPE_CHECKING:
    from typing_extensions import Self


class _Written(NamedTuple):
    """What a file holds now, what it held before and what that with a ``~`` did, None where there was none."""

    now: bytes
    before: bytes | None
    older: bytes | None


class Replacing:
    """Files that are written; what they held lies under their names with a ``~`` behind.

    A context, at the end of which what they held comes back, unless `keep` was called or another program has written
    them since. Of a process that is killed before it stays with the ``~``. Errors are DatasetErrors.
    """

    def __init__(self) -> None:
        self._written: dict[Path, _Written] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, written in self._written.items():
            with suppress(DatasetError, OSError):  # the error that led here says more
                held = _read(path)
                if held not in (written.now, written.before):
                    continue
                if held != written.before:  # else it could not be written
                    _put(path, written.before)
                if written.before is not None:
                    _put(_behind(path), written.older)

    def write(self, path: Path, content: bytes) -> None:
        """Let the file at `path`, which was not written before, hold `content`."""
        before = _read(path)
        if before == content:
            return
        older = _read(_behind(path))
        if before is not None:
            write_atomically(_behind(path), [before], DatasetError)
        self._written[path] = _Written(content, before, older)
        write_atomically(path, [content], DatasetError)

    def keep(self) -> Sequence[Path]:
        """Leave all as it is; say which files held something else."""
        kept = [path for path, written in self._written.items() if written.before is not None]
        self._written.clear()
        return kept


def _behind(path: Path) -> Path:
    return Path(f"{path}~")


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, [content], DatasetError)


def _read(path: Path) -> bytes | None:
    return read_bytes(path, DatasetError) if path.is_file() else None
