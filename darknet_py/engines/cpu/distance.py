"""How far apart the cores are that a team's threads run on: whether they share a cache."""

from __future__ import annotations

import time

from ...forks import cached_property
from . import operations as o
from .builder import Table
from .team import Team

PERIOD = 0.1  # seconds from one measurement to the next: a virtual machine may be moved to other cores
BARRIERS, TRIES = 64, 4
# Seconds per barrier and thread beyond which cores are far apart: a barrier of two threads took 110 to 180 ns on cores
# that share a cache, 400 to 460 on others. That it grows with their number is assumed.
FAR = 140e-9


class Distance:
    """The distance of a team's cores, measured by its barriers."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._measured = time.perf_counter()  # a program that ends soon does not measure it at all
        self._far = False
        self._last = False

    @cached_property
    def _barriers(self) -> Table:
        """A table of nothing but barriers: softmax of no pictures."""
        table = Table()
        for _ in range(BARRIERS):
            table.add(o.Softmax(a=0, c=0, cell=0, images=0, channels=1, groups=1, inverse_temperature=1))
        table.freeze()
        return table

    def is_far(self) -> bool:
        """Whether what one thread wrote reaches another other than through a shared cache.

        The answer changes when two measurements in a row say so: other programs may have stopped a thread during one.
        """
        now = time.perf_counter()
        if self._team.threads > 1 and now >= self._measured + PERIOD:
            # One quick time is enough: other programs, and waking a thread that sleeps, only add to it.
            found = all(self._measure() > FAR * BARRIERS * self._team.threads for _ in range(TRIES))
            if found == self._last:
                self._far = found
            self._last, self._measured = found, now
        return self._far

    def _measure(self) -> float:
        """Seconds that all the barriers take."""
        barriers, start = self._barriers, time.perf_counter()
        barriers.run(self._team)
        return time.perf_counter() - start
