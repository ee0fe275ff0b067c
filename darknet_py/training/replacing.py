"""Files that a run writes over once it is clear that it can begin; until then what they held comes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..files import read_bytes, write_atomically

if TYPE_CHECKING:
    from typing_extensions import Self


class Replacing:
    """Files that are written; what they held lies under their names with a ``~`` behind.

    A context, at the end of which what they held comes back, unless `keep` was called. Whatever ends the process
    before, it is not lost. Errors are DatasetErrors.
    """

    def __init__(self) -> None:
        self._before: dict[Path, tuple[bytes, bytes | None]] = {}  # what a file held, and that with a ~

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, (content, older) in self._before.items():
            write_atomically(path, [content], DatasetError)
            if older is None:
                _behind(path).unlink(missing_ok=True)
            else:
                write_atomically(_behind(path), [older], DatasetError)

    def write(self, path: Path, content: bytes) -> None:
        """Let the file at `path`, which was not written before, hold `content`."""
        before = _read(path)
        if before == content:
            return
        if before is not None:
            older = _read(_behind(path))
            write_atomically(_behind(path), [before], DatasetError)
            self._before[path] = before, older
        write_atomically(path, [content], DatasetError)

    def keep(self) -> Sequence[Path]:
        """Leave all as it is; say which files held something else."""
        kept = list(self._before)
        self._before.clear()
        return kept


def _behind(path: Path) -> Path:
    return Path(f"{path}~")


def _read(path: Path) -> bytes | None:
    return read_bytes(path, DatasetError) if path.is_file() else None
