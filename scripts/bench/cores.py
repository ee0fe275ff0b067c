"""How far apart two cores are: what one writes, the other reads sooner where both share a last-level cache."""

from __future__ import annotations

import math
import os
import threading
import time
from functools import cache
from typing import Any

import numpy as np

from darknet_py.limits import find_cores

NEAR = 250e-9  # seconds a round trip at most; 115 ns were seen within a cache, 480 between two
ROUNDS, TRIPS = 20, 1000  # the best round counts: other programs on a core only add to the time


@cache
def _compile() -> Any:
    from numba import njit

    from darknet_py.engines.cpu.compiled import sync

    exchange: Any = sync.exchange
    fetch: Any = sync.fetch

    @njit(nogil=True)
    def bounce(ball: int, player: int, first: int, trips: int) -> None:
        for trip in range(first, first + trips):
            while fetch(ball) != 2 * trip + player:
                pass
            exchange(ball, 2 * trip + player + 1)

    bounce(np.zeros(1, np.int64).ctypes.data, 0, 0, 1)
    return bounce


def round_trip() -> float:
    """Seconds that a word takes from one core to another and back, by a thread on each; nan with one core."""
    cores = find_cores()[:2]
    if len(cores) < 2:
        return math.nan
    bounce, ball = _compile(), np.zeros(8, np.int64)
    seconds = []

    def play(player: int) -> None:
        os.sched_setaffinity(0, cores[player])
        for number in range(ROUNDS):
            start = time.perf_counter()
            bounce(ball.ctypes.data, player, number * TRIPS, TRIPS)
            seconds.append((time.perf_counter() - start) / TRIPS)

    players = [threading.Thread(target=play, args=(player,)) for player in (0, 1)]
    for player in players:
        player.start()
    for player in players:
        player.join()
    return min(seconds)


def distance() -> str:
    """``near``, ``far``, or ``one`` core."""
    seconds = round_trip()
    return "one" if math.isnan(seconds) else "near" if seconds <= NEAR else "far"
