"""The figures of a run so far, few enough to be kept in its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from ..evaluation.totals import Totals

KEPT = 2000  # of a kind at most; even, so that every other one can go
DIGITS = 6  # of losses and rates


class Iteration(NamedTuple):
    """An iteration: its loss, the average over the last ones, and the rate of its update."""

    number: int
    loss: float
    average: float
    rate: float


class Score(NamedTuple):
    """A validation: of `counted` images the first guess of `right` is right, one of the first of `right_top`."""

    iteration: int
    right: int
    right_top: int
    counted: int


Row = TypeVar("Row")


@dataclass
class Thinned(Generic[Row]):
    """Rows in their order, of which at most `KEPT` stay: every n-th from the first on, n a power of 2; and the last.

    Which stay depends on how many there were alone, so a run that is taken up keeps those of one that is not.

    Attributes
    ----------
    count : int
        How many there were.
    kept : list
    last : optional
    """

    count: int = 0
    kept: list[Row] = field(default_factory=list)
    last: Row | None = None

    @property
    def every(self) -> int:
        """Of so many rows one is kept."""
        every = 1
        while self.count > KEPT * every:
            every *= 2
        return every

    @property
    def rows(self) -> list[Row]:
        """Those that are kept, and the last."""
        return self.kept if self.last is None or self.kept[-1] == self.last else [*self.kept, self.last]

    def add(self, row: Row) -> None:
        """Another one, which comes last."""
        before = self.every
        self.count += 1
        if self.every > before:
            del self.kept[1::2]
        if (self.count - 1) % self.every == 0:
            self.kept.append(row)
        self.last = row


@dataclass
class History:
    """What became of loss, rate and validation in the iterations so far.

    Attributes
    ----------
    iterations : Thinned of Iteration
    scores : Thinned of Score
    """

    iterations: Thinned[Iteration] = field(default_factory=Thinned)
    scores: Thinned[Score] = field(default_factory=Thinned)

    def add_iteration(self, iteration: int, loss: float, average: float, rate: float) -> None:
        """An iteration that is done."""
        self.iterations.add(Iteration(iteration, *(float(f"{value:.{DIGITS}g}") for value in (loss, average, rate))))

    def add_score(self, iteration: int, totals: Totals) -> None:
        """A validation that is complete."""
        self.scores.add(Score(iteration, totals.right, totals.right_top, totals.counted))

    def to_fields(self) -> dict[str, Any]:
        """The history for JSON."""
        return {name: [thinned.count, thinned.kept, thinned.last] for name, thinned in vars(self).items()}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> History:
        """What `to_fields` gave, through JSON or not; ValueError, KeyError or TypeError where it is something else."""
        return cls(_read(Iteration, *fields["iterations"]), _read(Score, *fields["scores"]))


def _read(
    kind: Callable[..., Row], count: int, kept: Iterable[Sequence[Any]], last: Sequence[Any] | None
) -> Thinned[Row]:
    thinned = Thinned(count, [kind(*row) for row in kept], None if last is None else kind(*last))
    if len(thinned.kept) != -(-count // thinned.every) or (last is None) != (count == 0):
        raise ValueError("as many rows as there cannot be")
    return thinned
