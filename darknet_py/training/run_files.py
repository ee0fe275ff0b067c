"""The files of a training run, and how existing files in its way are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError, DatasetError, UsageError
from ..files import check_writable, describe_oserror, read_bytes, write_atomically
from ..runs.lock import lock_file

if TYPE_CHECKING:
    from ..runs.lock import Lock

MODEL = ("cfg", "data", "names", "valid.list")  # the files that `predict` and `valid` need besides weights


@dataclass(frozen=True)
class TrainingFiles:
    """Where a run's files are.

    Attributes
    ----------
    folder : Path
    name : str
        What its files' names begin with.
    """

    folder: Path
    name: str

    @property
    def checkpoint(self) -> Path:
        """The file from which it can be resumed."""
        return self.folder / f"{self.name}.checkpoint"

    @property
    def last(self) -> Path:
        """The weights that were saved last."""
        return self.folder / f"{self.name}_last.weights"

    @property
    def best(self) -> Path:
        """The weights with the best validation."""
        return self.folder / f"{self.name}_best.weights"

    @property
    def model(self) -> Mapping[str, Path]:
        """The paths of what `predict` and `valid` need besides weights, by kind, where the run writes it."""
        return {kind: self.folder / f"{self.name}.{kind}" for kind in MODEL}

    def lock(self) -> Lock:
        """Lock the files, so that no other run uses them; make the folder where it is missing.

        Raises
        ------
        CheckpointError
            Where another run uses them, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise CheckpointError(describe_oserror(reason), file=self.folder) from None
        return lock_file(self.checkpoint, "another run is training with these files", CheckpointError)

    def begin(self, texts: Mapping[Path, bytes], resumed: bool = False) -> dict[Path, Path]:
        """Write `texts`; before, rename files in the run's way to ``NAME.~N~``, as GNU's backups are called.

        Nobody knows which of the files are a user's own, so none is removed or overwritten. Where there are learned
        files, all files are those of an earlier run, and all are renamed; else only those that differ from `texts`.

        Parameters
        ----------
        texts : mapping of Path to bytes
            The contents of the files of `model`; where empty, only the learned files are in the way.
        resumed : bool
            Whether this run goes on from the learned files, which then stay.

        Returns
        -------
        dict of Path to Path
            The new path of each file that was renamed.

        Raises
        ------
        CheckpointError, DatasetError
            Where a file cannot be renamed, or cannot be written.
        """
        learned = [] if resumed else self._learned
        model = [*self.model.values()] if texts else []
        is_run = any(os.path.lexists(path) for path in learned)
        here = [path for path in (*model, *learned) if os.path.lexists(path) and (is_run or _differs(path, texts))]
        aside = dict(zip(here, self._behind(here, {*model, *learned}), strict=True))
        for path, behind in aside.items():
            try:
                os.rename(path, behind)
            except OSError as reason:
                raise CheckpointError(f"cannot be renamed: {describe_oserror(reason)}", file=path) from None
        for path, content in texts.items():
            if not os.path.lexists(path):
                write_atomically(path, [content], DatasetError)
        return aside

    @property
    def _learned(self) -> list[Path]:
        """The files that a run writes as it learns."""
        return [self.checkpoint, self.best, self.last]

    def _behind(self, here: Sequence[Path], moved: Set[Path]) -> list[Path]:
        """Free names, with the same number, for the files `here`: those of `moved` to be renamed, in order.

        The last number is used again where all files that have it are of `moved` and come before `here`: then a process
        was killed while it renamed them. Learned files are renamed last: without them, the next call would not see that
        what is left is of a run.
        """
        every = [*self.model.values(), *self._learned]
        last = max((number for path in every for number in _numbers(path)), default=0)
        before = [path for path in every if os.path.lexists(_numbered(path, last))] if last else []
        goes_on = here and before and {*before} <= moved and every.index(before[-1]) < every.index(here[0])
        return [_numbered(path, last if goes_on else last + 1) for path in here]


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The path of the folder for a run's files; UsageError where it cannot be made or written."""
    path = Path(folder)
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    try:
        check_writable(there)
    except OSError as reason:
        what = f"{describe_oserror(reason)}; name another folder for weights with --backup"
        raise UsageError(what, file=path) from None
    return path


def _numbered(path: Path, number: int) -> Path:
    return Path(f"{path}.~{number}~")


def _numbers(path: Path) -> Iterator[int]:
    """The numbers N of the backups ``NAME.~N~`` of a file."""
    for other in path.parent.iterdir():
        found = re.fullmatch(re.escape(path.name) + r"\.~([1-9]\d{0,8})~", other.name)
        if found:
            yield int(found[1])


def _differs(path: Path, texts: Mapping[Path, bytes]) -> bool:
    return not path.is_file() or read_bytes(path, DatasetError) != texts.get(path)
