"""The learning rate at each iteration.

Source: darknet's ``network.c`` (get_current_rate) of 2018; ``sgdr`` that of AlexeyAB's fork.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .generators import Purpose, generator
from .options import TrainingOptions


def rate(options: TrainingOptions, n: int, seed: int = 0) -> float:
    """The rate of iteration `n`, counted from 1: float32, its powers in double, as in darknet.

    `seed` is that of the run, for the policy ``random``.
    """
    first = float(np.float32(options.learning_rate))
    if n < options.burn_in:
        share = float(np.float32(n) / np.float32(options.burn_in))
        return _float32(first * _power(share, _float32(options.power)))
    if options.policy == "random":
        draw = generator(seed, Purpose.RATE, n).uniform()
        return _float32(first * _power(draw, _float32(options.power)))
    return _float32(_POLICIES[options.policy](options, first, n))


def _float32(value: float) -> float:
    with np.errstate(over="ignore"):  # what comes of an infinite rate is found in the loss
        return float(np.float32(value))


def _constant(options: TrainingOptions, first: float, n: int) -> float:
    return first


def _step(options: TrainingOptions, first: float, n: int) -> float:
    return first * _power(_float32(options.scale), n // options.step)


def _steps(options: TrainingOptions, first: float, n: int) -> float:
    value = first
    for step, scale in zip(options.steps, options.scales, strict=True):
        if step > n:
            break
        value = _float32(value * _float32(scale))
    return value


def _exp(options: TrainingOptions, first: float, n: int) -> float:
    return first * _power(_float32(options.gamma), n)


def _poly(options: TrainingOptions, first: float, n: int) -> float:
    left = np.float32(1) - np.float32(n) / np.float32(options.max_batches)
    return first * _power(max(float(left), 0.0), _float32(options.power))


def _sigmoid(options: TrainingOptions, first: float, n: int) -> float:
    # The difference has a sign, as in 2016 and the fork; that of 2018 has none, and its rate is 0 before `step`.
    exponent = _float32(_float32(options.gamma) * _float32(n - options.step))
    return first / (1 + math.exp(exponent)) if exponent < 700 else 0.0


def _sgdr(options: TrainingOptions, first: float, n: int) -> float:
    start, cycle = 0, options.sgdr_cycle or options.max_batches
    while start + cycle < n:
        start += cycle
        cycle = int(cycle * options.sgdr_mult)
    return _anneal(options, first, (n - start) / cycle)


def _cosine(options: TrainingOptions, first: float, n: int) -> float:
    return _anneal(options, first, min(n / options.max_batches, 1.0))


def _anneal(options: TrainingOptions, first: float, share: float) -> float:
    least = _float32(options.learning_rate_min)
    return least + 0.5 * (first - least) * (1 + math.cos(math.pi * share))


def _power(base: float, exponent: float) -> float:
    """C's pow, which gives infinity where Python's raises an error."""
    with np.errstate(all="ignore"):
        return float(np.float64(base) ** np.float64(exponent))


_POLICIES: dict[str, Callable[[TrainingOptions, float, int], float]] = {
    "constant": _constant,
    "step": _step,
    "steps": _steps,
    "exp": _exp,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "sgdr": _sgdr,
    "cosine": _cosine,
}
