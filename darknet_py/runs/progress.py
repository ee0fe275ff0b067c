"""How far a long run has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes
    ----------
    done, total : int
        Units that are done, by all runs of a journal together, and all units.
    fresh : int
        Units that this run did.
    seconds : float
        How long this run has taken.
    """

    done: int
    total: int
    fresh: int
    seconds: float

    @property
    def speed(self) -> float:
        """Units a second, of this run."""
        return self.fresh / self.seconds if self.seconds else 0.0

    @property
    def complete(self) -> bool:
        """Whether all units are done."""
        return self.done == self.total
