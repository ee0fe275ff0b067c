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
    """Files that are written, of which those that were there before come back unless `keep` or `drop` is called.

    A context, at the end of which they do. Errors are DatasetErrors.
    """

    def __init__(self) -> None:
        self._before: dict[Path, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, content in self._before.items():
            write_atomically(path, [content], DatasetError)

    def write(self, path: Path, content: bytes) -> None:
        """Let the file at `path` hold `content`."""
        before = read_bytes(path, DatasetError) if path.is_file() else None
        if before != content:
            if before is not None:
                self._before.setdefault(path, before)
            write_atomically(path, [content], DatasetError)

    def keep(self) -> Sequence[Path]:
        """Keep what files held under their names with a ``~`` behind; say which."""
        for path, content in self._before.items():
            write_atomically(f"{path}~", [content], DatasetError)
        kept = list(self._before)
        self.drop()
        return kept

    def drop(self) -> None:
        """Forget what files held."""
        self._before.clear()
