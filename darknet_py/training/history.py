"""The figures of a run so far, thinned so that its checkpoint can hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from ..evaluation.totals import Totals

KEPT = 2000  # rows of a kind at most; even, so that every other one can be dropped
DIGITS = 6  # significant digits of losses and rates


class Iteration(NamedTuple):
    """An iteration: its loss, the average over the last iterations, and the rate of its update."""

    number: int
    loss: float
    average: float
    rate: float


class Score(NamedTuple):
    """A validation: of `counted` images, the first guess was right for `right`, one of the first for `right_top`."""

    iteration: int
    right: int
    right_top: int
    counted: int


Row = TypeVar("Row")


@dataclass
class Thinned(Generic[Row]):
    """Rows in order, of which at most `KEPT` are kept: every n-th from the first on, n a power of 2; and the last.

    Which are kept depends only on how many there were, so a resumed run keeps the same ones as an uninterrupted one.

    Attributes
    ----------
    count : int
        How many rows were added.
    kept : list
    last : optional
    """

    count: int = 0
    kept: list[Row] = field(default_factory=list)
    last: Row | None = None

    @property
    def every(self) -> int:
        """The n of which every n-th row is kept."""
        every = 1
        while self.count > KEPT * every:
            every *= 2
        return every

    @property
    def rows(self) -> list[Row]:
        """The kept rows, and the last."""
        return self.kept if self.last is None or self.kept[-1] == self.last else [*self.kept, self.last]

    def add(self, row: Row) -> None:
        """Append a row."""
        before = self.every
        self.count += 1
        if self.every > before:
            del self.kept[1::2]
        if (self.count - 1) % self.every == 0:
            self.kept.append(row)
        self.last = row


@dataclass
class History:
    """The losses, rates and validations of the iterations so far.

    Attributes
    ----------
    iterations : Thinned of Iteration
    scores : Thinned of Score
    """

    iterations: Thinned[Iteration] = field(default_factory=Thinned)
    scores: Thinned[Score] = field(default_factory=Thinned)

    def add_iteration(self, iteration: int, loss: float, average: float, rate: float) -> None:
        """Add an iteration that is done."""
        self.iterations.add(Iteration(iteration, *(float(f"{value:.{DIGITS}g}") for value in (loss, average, rate))))

    def add_score(self, iteration: int, totals: Totals) -> None:
        """Add a validation that is complete."""
        self.scores.add(Score(iteration, totals.right, totals.right_top, totals.counted))

    def to_fields(self) -> dict[str, Any]:
        """The history for JSON."""
        return {name: [thinned.count, thinned.kept, thinned.last] for name, thinned in vars(self).items()}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> History:
        """The inverse of `to_fields`, also through JSON; ValueError, KeyError or TypeError for anything else."""
        return cls(_read(Iteration, *fields["iterations"]), _read(Score, *fields["scores"]))


def _read(
    kind: Callable[..., Row], count: int, kept: Iterable[Sequence[Any]], last: Sequence[Any] | None
) -> Thinned[Row]:
    thinned = Thinned(count, [kind(*row) for row in kept], None if last is None else kind(*last))
    if len(thinned.kept) != -(-count // thinned.every) or (last is None) != (count == 0):
        raise ValueError("as many rows as there cannot be")
    return thinned
