"""The learning rate at each iteration.

Source: darknet's ``network.c`` (get_current_rate) of 2018; for ``sgdr``, that of AlexeyAB's fork.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import TrainingError
from .generators import Purpose, generator

# The key that messages blame for a policy's rate; for other policies it is `learning_rate`.
_BLAMED = {"step": "scale", "steps": "scales", "exp": "gamma", "poly": "power", "random": "power"}


@dataclass(frozen=True)
class Schedule:
    """How the rate changes; the attributes are keys of ``[net]``.

    Attributes
    ----------
    learning_rate : float
        The first.
    max_batches : int
        The number of iterations; 0 where it is not known.
    policy, burn_in, power, step, scale, steps, scales, gamma, learning_rate_min, sgdr_cycle, sgdr_mult
        As in darknet.
    """

    learning_rate: float
    max_batches: int
    policy: str
    burn_in: int
    power: float
    step: int
    scale: float
    steps: tuple[int, ...]
    scales: tuple[float, ...]
    gamma: float
    learning_rate_min: float
    sgdr_cycle: int
    sgdr_mult: float


def rate(schedule: Schedule, n: int, seed: int = 0) -> float:
    """The rate of iteration `n`, counted from 1: in float32, its powers in double, as in darknet.

    `seed` is the run's, for the policy ``random``. TrainingError where the rate is not finite, or below 0; `find_fault`
    finds this out beforehand.
    """
    draw = generator(seed, Purpose.RATE, n).uniform() if schedule.policy == "random" else 0.0
    value = _compute(schedule, n, draw)
    if not 0 <= value < math.inf:
        key = _blame(schedule, n)
        raise TrainingError(f"{key}={getattr(schedule, key)}: {_tell(value, n)}")
    return value


def find_fault(schedule: Schedule) -> tuple[str, str] | None:
    """The key to blame and the reason where a rate is not finite, or below 0; None where all rates are valid."""
    for n in _ends(schedule):
        value = _compute(schedule, n, draw=0.0)  # if some draw gives infinity, 0 does
        if not 0 <= value < math.inf:
            return _blame(schedule, n), _tell(value, n)
    return None


def _ends(schedule: Schedule) -> Iterable[int]:
    """Iterations between which the rates only rise, only fall, or change their sign at each iteration."""
    begin, end = max(schedule.burn_in, 1), schedule.max_batches
    found = {1, begin - 1, begin, begin + 1, end - 1, end, *schedule.steps}
    return sorted(n for n in found if 1 <= n <= (end or begin))


def _blame(schedule: Schedule, n: int) -> str:
    return "power" if n < schedule.burn_in else _BLAMED.get(schedule.policy, "learning_rate")


def _tell(value: float, n: int) -> str:
    return f"a learning rate of {value:g} at iteration {n}; a finite one of at least 0 is expected"


def _compute(schedule: Schedule, n: int, draw: float) -> float:
    """The rate; `draw`, from 0 to 1, is the random number of the policy ``random``."""
    first = float(np.float32(schedule.learning_rate))
    if n < schedule.burn_in:
        share = float(np.float32(n) / np.float32(schedule.burn_in))
        return _float32(first * _power(share, _float32(schedule.power)))
    if schedule.policy == "random":
        return _float32(first * _power(draw, _float32(schedule.power)))
    return _float32(_POLICIES[schedule.policy](schedule, first, n))


def _float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _constant(schedule: Schedule, first: float, n: int) -> float:
    return first


def _step(schedule: Schedule, first: float, n: int) -> float:
    return first * _power(_float32(schedule.scale), n // schedule.step)


def _steps(schedule: Schedule, first: float, n: int) -> float:
    value = first
    for step, scale in zip(schedule.steps, schedule.scales, strict=True):
        if step > n:
            break
        value = _float32(value * _float32(scale))
    return value


def _exp(schedule: Schedule, first: float, n: int) -> float:
    return first * _power(_float32(schedule.gamma), n)


def _poly(schedule: Schedule, first: float, n: int) -> float:
    left = np.float32(1) - np.float32(n) / np.float32(schedule.max_batches)
    return first * _power(max(float(left), 0.0), _float32(schedule.power))


def _sigmoid(schedule: Schedule, first: float, n: int) -> float:
    # The difference is signed, as in 2016 and in the fork; in 2018 it was unsigned, and the rate 0 before `step`.
    exponent = _float32(_float32(schedule.gamma) * _float32(n - schedule.step))
    return first / (1 + math.exp(exponent)) if exponent < 700 else 0.0


def _sgdr(schedule: Schedule, first: float, n: int) -> float:
    start, cycle = 0, schedule.sgdr_cycle or schedule.max_batches
    while start + cycle < n:
        longer = int(cycle * schedule.sgdr_mult)
        start += cycle * (1 if longer > cycle else (n - start - 1) // cycle)  # skips cycles that stay as long
        cycle = longer
    return _anneal(schedule, first, (n - start) / cycle)


def _cosine(schedule: Schedule, first: float, n: int) -> float:
    return _anneal(schedule, first, min(n / schedule.max_batches, 1.0))


def _anneal(schedule: Schedule, first: float, share: float) -> float:
    least = _float32(schedule.learning_rate_min)
    return least + 0.5 * (first - least) * (1 + math.cos(math.pi * share))


def _power(base: float, exponent: float) -> float:
    """C's pow, which returns infinity where Python's raises an error."""
    with np.errstate(all="ignore"):
        return float(np.float64(base) ** np.float64(exponent))


_POLICIES: dict[str, Callable[[Schedule, float, int], float]] = {
    "constant": _constant,
    "step": _step,
    "steps": _steps,
    "exp": _exp,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "sgdr": _sgdr,
    "cosine": _cosine,
}
