"""A run's random numbers, all from its seed: what is drawn for one purpose does not depend on what else is drawn."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for. The values must not change: resumed runs depend on them."""

    ORDER = 0
    PICTURE = 1
    MIXING = 2
    LAYERS = 3
    WEIGHTS = 4
    RATE = 5


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """The generator for a purpose and, within it, for numbers from 0 on, such as a position; always seeded alike."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, *numbers)))
