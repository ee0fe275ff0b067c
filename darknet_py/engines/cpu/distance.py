"""How far from each other the cores lie that a team's threads run on: whether they share a cache."""

from __future__ import annotations

import time

from ...forks import cached_property
from . import operations as o
from .builder import Table
from .team import Team

PERIOD = 0.1  # seconds after which it is measured anew: a virtual machine may be moved to other cores
BARRIERS, TRIES = 64, 4
# Seconds that a barrier takes for each thread: two took 110 to 180 ns where they share a cache, 400 to 460 where not.
# That it grows with their number is assumed.
FAR = 140e-9


class Distance:
    """What a team's barriers tell."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._measured = time.perf_counter()  # a program that ends soon does not measure it at all
        self._far = False
        self._last = False

    @cached_property
    def _barriers(self) -> Table:
        """A table that does nothing else: softmax of no pictures."""
        table = Table()
        for _ in range(BARRIERS):
            table.add(o.Softmax(a=0, c=0, cell=0, images=0, channels=1, groups=1, inverse_temperature=1))
        table.freeze()
        return table

    def is_far(self) -> bool:
        """Whether what one of the threads wrote comes to another from another cache than a shared one.

        It changes when two measurements after each other say so: other programs may have stopped a thread during one.
        """
        now = time.perf_counter()
        if self._team.threads > 1 and now >= self._measured + PERIOD:
            # One quick time is enough: others' programs only add to it, as waking who sleeps does.
            found = all(self._measure() > FAR * BARRIERS * self._team.threads for _ in range(TRIES))
            if found == self._last:
                self._far = found
            self._last, self._measured = found, now
        return self._far

    def _measure(self) -> float:
        """Seconds that the barriers take."""
        barriers, start = self._barriers, time.perf_counter()
        barriers.run(self._team)
        return time.perf_counter() - start
