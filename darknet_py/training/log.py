"""A run's figures for other programs: a record for each iteration and each validation, as JSON lines or as CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..errors import TrainingError
from ..files import describe_oserror, write_atomically
from .checkpoint import State
from .trainer import TrainingProgress

Figures = Mapping[str, float | int | None]
COLUMNS = ("iteration", "epoch", "images", "loss", "average", "rate", "waiting", "working", "top-1", "top-k", "best")
HEADER = ",".join(COLUMNS) + "\n"


def figures(progress: TrainingProgress) -> Figures | None:
    """The record of an iteration, or of a complete validation; None for one that is not complete."""
    place = {"iteration": progress.iteration, "epoch": round(progress.epoch, 6), "images": progress.done}
    if progress.validation is None:
        times = {"waiting": round(progress.waiting, 6), "working": round(progress.working, 6)}
        return {**place, "loss": progress.loss, "average": progress.average, "rate": progress.rate, **times}
    if not progress.validation.complete:
        return None
    totals = progress.validation.totals
    return {**place, "top-1": totals.accuracy, "top-k": totals.accuracy_top, "best": progress.best}


class Log:
    """The log file, a context manager that closes it.

    Parameters
    ----------
    path : path
        Its name says the format: CSV where it ends in ``.csv``, else JSON lines.
    resumed : State, optional
        The state that a resumed run goes on from: records of later iterations and validations, which an earlier run
        has written, are dropped. None: the file begins anew.

    Raises
    ------
    TrainingError
        Where it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], resumed: State | None = None) -> None:
        self.file, self._csv = os.fspath(path), os.fspath(path).lower().endswith(".csv")
        try:
            kept = [] if resumed is None or not os.path.exists(path) else self._read(Path(path), resumed)
            write_atomically(path, [line.encode() for line in [HEADER] * self._csv + kept], TrainingError)
            self._stream = open(path, "a", encoding="utf-8", newline="")  # noqa: SIM115
        except (OSError, UnicodeDecodeError) as reason:
            raise TrainingError(describe_oserror(reason), file=self.file) from None

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # `add` has written all that could be
            self._stream.close()

    def add(self, progress: TrainingProgress) -> None:
        """Write the record that `figures` makes, at once, for programs that follow the file."""
        told = figures(progress)
        if told is None:
            return
        try:
            self._stream.write(self._line(told))
            self._stream.flush()
        except OSError as reason:
            raise TrainingError(describe_oserror(reason), file=self.file) from None

    def _line(self, told: Figures) -> str:
        if not self._csv:
            return json.dumps(told, allow_nan=False) + "\n"
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(told)
        return text.getvalue()

    def _read(self, path: Path, state: State) -> list[str]:
        """The complete lines of the records up to `state`."""
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                row = dict(zip(COLUMNS, line.split(","), strict=False)) if self._csv else json.loads(line)
                last = state.validated if row.get("loss") in (None, "") else state.iteration
                whole = line.endswith("\n") and int(row["iteration"]) <= last
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                continue  # the header, or a line that was cut off
            if whole:
                kept.append(line)
        return kept
