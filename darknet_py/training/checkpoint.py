"""The file from which a training run goes on as if it had never been stopped.

It begins with a sealed line of JSON, which describes the run, how far it has come, and the arrays that follow, with
their BLAKE2b digest; then come the arrays, float32, one after another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..files import check_regular, describe_oserror, write_atomically
from ..layers import Array
from ..runs.identity import tell_differences
from ..runs.seal import seal, unseal
from .history import History

VERSION = 1
FORMAT = "darknet_py checkpoint"
MAX_LINE = 1 << 20  # bytes of the first line


@dataclass(frozen=True)
class State:
    """How far a run has come, without its arrays; what is drawn at random depends only on `seed` and the counts.

    Attributes
    ----------
    seed : int
    iteration : int
        As darknet counts: images seen / batch.
    iterations : int
        Iterations of this run.
    seen : int
        Images that the network has seen, in earlier runs, too.
    updates : int
        Updates that the optimizer has made.
    loss, average, rate : float
        The loss of the last iteration, its moving average, and the rate of the last update.
    best : float
        The best top-1 of a validation so far; below 0 where there was none.
    best_iteration : int
        The iteration after which that was.
    validated : int
        The iteration after which the network was last saved and, where there are images for that, validated.
    history : History
        Of the run so far; it grows in place.
    """

    seed: int
    iteration: int = 0
    iterations: int = 0
    seen: int = 0
    updates: int = 0
    loss: float = 0.0
    average: float = 0.0
    rate: float = 0.0
    best: float = -1.0
    best_iteration: int = 0
    validated: int = 0
    history: History = field(default_factory=History)

    def to_fields(self) -> dict[str, Any]:
        """The state for JSON."""
        return {**vars(self), "history": self.history.to_fields()}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> State:
        """The inverse of `to_fields`; ValueError, KeyError or TypeError for anything else."""
        return cls(**{**fields, "history": History.from_fields(fields["history"])})


def save_checkpoint(
    path: str | os.PathLike[str], run: Mapping[str, str], state: State, arrays: Mapping[str, Array]
) -> None:
    """Write a checkpoint, all of it or nothing; when this returns, all of it is on the disk.

    Parameters
    ----------
    path : path
    run : mapping
        A description of the run: a run whose description differs anywhere cannot go on from the checkpoint.
    state : State
    arrays : mapping of str to array
        float32, flat.

    Raises
    ------
    CheckpointError
        Where it cannot be written; what was there before is intact.
    """
    digest, parts = hashlib.blake2b(), []
    for array in arrays.values():
        data = np.ascontiguousarray(array, "<f4").data.cast("B") if array.size else memoryview(b"")
        digest.update(data)
        parts.append(data)
    first = {
        "format": f"{FORMAT} {VERSION}",
        "run": dict(run),
        "state": state.to_fields(),
        "arrays": {name: array.size for name, array in arrays.items()},
        "digest": digest.hexdigest(),
    }
    write_atomically(path, [seal(json.dumps(first, allow_nan=False).encode() + b"\n", b""), *parts], CheckpointError)


def load_checkpoint(path: str | os.PathLike[str], run: Mapping[str, str], arrays: Mapping[str, Array]) -> State:
    """Read a checkpoint of `run` into `arrays`, of the same names and sizes as those that were saved.

    Raises
    ------
    CheckpointError
        Where it cannot be read, is damaged, of another version, or of another run: `arrays` are then unchanged.
    """
    file = os.fspath(path)
    size = check_regular(Path(path), CheckpointError)
    try:
        with open(path, "rb") as stream:
            line = stream.readline(MAX_LINE)
            first = _parse_first(line, file)
            if differences := tell_differences(first.run, run):
                what = "give what it was started with, or start anew without --resume"
                raise CheckpointError(f"of another run: {differences}; {what}", file=file)
            if first.arrays != {name: array.size for name, array in arrays.items()}:
                raise CheckpointError("of a network with other layers", file=file)
            expected = len(line) + 4 * sum(first.arrays.values())
            if size != expected:
                raise CheckpointError(f"{size} bytes; {expected} were written", file=file)
            values = np.empty(sum(first.arrays.values()), "<f4")
            filled = stream.readinto(values.data.cast("B")) if values.size else 0
    except OSError as reason:
        raise CheckpointError(describe_oserror(reason), file=file) from None
    if filled != values.nbytes or hashlib.blake2b(values.data if values.size else b"").hexdigest() != first.digest:
        raise CheckpointError("damaged: not as it was written", file=file)
    start = 0
    for array in arrays.values():
        array[...] = values[start : start + array.size]
        start += array.size
    return first.state


def read_state(path: str | os.PathLike[str]) -> State:
    """The state that is saved in a checkpoint; CheckpointError where its first line cannot be read."""
    check_regular(Path(path), CheckpointError)
    try:
        with open(path, "rb") as stream:
            return _parse_first(stream.readline(MAX_LINE), os.fspath(path)).state
    except OSError as reason:
        raise CheckpointError(describe_oserror(reason), file=path) from None


@dataclass(frozen=True)
class _First:
    """The content of the first line."""

    run: dict[str, str]
    state: State
    arrays: dict[str, int]
    digest: str


def _parse_first(line: bytes, file: str) -> _First:
    started = re.match(rb'\{"format": "%s (\d{1,9})"' % FORMAT.encode(), line)
    if started is None:
        raise CheckpointError("not a checkpoint", file=file)
    if int(started[1]) != VERSION:
        reason = f"a checkpoint of version {int(started[1])}; this program goes on with version {VERSION} alone"
        raise CheckpointError(reason, file=file)
    try:
        fields = json.loads(unseal(line, b""))
        return _First(fields["run"], State.from_fields(fields["state"]), fields["arrays"], fields["digest"])
    except (ValueError, KeyError, TypeError):
        raise CheckpointError("its first line is damaged", file=file) from None
