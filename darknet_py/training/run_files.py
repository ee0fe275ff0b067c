"""The files of a training run, and how they take the place of an earlier one's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ..errors import CheckpointError, DatasetError, UsageError
from ..files import describe_oserror, read_bytes, write_atomically
from ..runs.lock import lock_file

if TYPE_CHECKING:
    from ..runs.lock import Lock

MODEL = ("cfg", "data", "names", "valid.list")  # what `predict` and `valid` need besides weights


@dataclass(frozen=True)
class TrainingFiles:
    """Where a run is kept.

    Attributes
    ----------
    folder : Path
    name : str
        How its files' names begin.
    """

    folder: Path
    name: str

    @property
    def checkpoint(self) -> Path:
        """From which it can be taken up."""
        return self.folder / f"{self.name}.checkpoint"

    @property
    def last(self) -> Path:
        """The weights when they were last saved."""
        return self.folder / f"{self.name}_last.weights"

    @property
    def best(self) -> Path:
        """The weights with the best validation."""
        return self.folder / f"{self.name}_best.weights"

    @property
    def model(self) -> Mapping[str, Path]:
        """What `predict` and `valid` need besides weights, by kind, where the run has written it."""
        return {kind: self.folder / f"{self.name}.{kind}" for kind in MODEL}

    def lock(self) -> Lock:
        """The files, for one run alone, in a folder that is made where it is missing.

        Raises
        ------
        CheckpointError
            Where another run has them, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise CheckpointError(describe_oserror(reason), file=self.folder) from None
        return lock_file(self.checkpoint, "another run is training with these files", CheckpointError)

    def put_aside(self, texts: Mapping[Path, bytes]) -> list[Path]:
        """Rename what an earlier run has left to its name with a ``~`` behind, before anything new is written.

        What lies behind is of one run, so it goes first. A process that is killed while files are renamed leaves none
        both here and behind: by that the next call knows, and moves the rest. Learned files are renamed last, as they
        alone make a run of what is here: what a start that learned nothing has left, or a user, takes free places only.

        Parameters
        ----------
        texts : mapping of Path to bytes
            What will be written: without any, the learned files alone are put aside.

        Returns
        -------
        list of Path
            What was renamed.

        Raises
        ------
        CheckpointError
            Where that fails.
        """
        learned = [self.checkpoint, self.best, self.last]
        model = [*self.model.values()] if texts else []
        here = [path for path in (*model, *learned) if os.path.lexists(path)]
        if {*here} & {*learned}:
            if any(os.path.lexists(_behind(path)) for path in here):
                _remove_behind((*learned, *model))
        else:
            here = [path for path in here if not os.path.lexists(_behind(path)) and _differs(path, texts)]
        _move_behind(here)
        return here

    @staticmethod
    def write(texts: Mapping[Path, bytes]) -> None:
        """Write those that differ from what is there; DatasetError where that fails."""
        for path, content in texts.items():
            if _differs(path, texts):
                write_atomically(path, [content], DatasetError)


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder that a run's files go to; UsageError where it could not be made, or nothing be written there."""
    path = Path(folder)
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as reason:
        what = f"{describe_oserror(reason)}; name another folder for weights with --backup"
        raise UsageError(what, file=path) from None
    return path


def _behind(path: Path) -> Path:
    return Path(f"{path}~")


def _remove_behind(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            _behind(path).unlink(missing_ok=True)
        except OSError as reason:
            raise CheckpointError(describe_oserror(reason), file=_behind(path)) from None


def _move_behind(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            os.replace(path, _behind(path))
        except OSError as reason:
            raise CheckpointError(f"cannot be renamed: {describe_oserror(reason)}", file=path) from None


def _differs(path: Path, texts: Mapping[Path, bytes]) -> bool:
    return not path.is_file() or read_bytes(path, DatasetError) != texts.get(path)
