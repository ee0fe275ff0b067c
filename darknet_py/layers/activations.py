"""Activation functions, by the names that a cfg gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array

SELU_SCALE = 1.0507
SELU_ALPHA = 1.6732


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _elu(x: Any) -> Any:
    return np.where(x >= 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Any) -> Any:
    return SELU_SCALE * np.where(x >= 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _plse(x: Any) -> Any:
    return np.where(x < -4, 0.01 * (x + 4), np.where(x > 4, 0.01 * (x - 4) + 1, 0.125 * x + 0.5))


def _lhtan(x: Any) -> Any:
    return np.where(x < 0, 0.001 * x, np.where(x > 1, 0.001 * (x - 1) + 1, x))


def _stair(x: Any) -> Any:
    n = np.floor(x)
    half = np.floor(x / 2)
    return np.where(n == 2 * np.floor(n / 2), half, (x - n) + half)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x < 0, 0.1 * x, x),
    "relu": lambda x: x * (x > 0),
    "logistic": _logistic,
    "loggy": lambda x: 2 * _logistic(x) - 1,
    "elu": _elu,
    "selu": _selu,
    "relie": lambda x: np.where(x <= 0, 0.01 * x, x),
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "tanh": np.tanh,
    "plse": _plse,
    "lhtan": _lhtan,
    "hardtan": lambda x: np.clip(x, -1, 1),
    "stair": _stair,
}


def activate(name: str, x: Array) -> Array:
    """`x` through the activation `name`; float32, the shape of `x`.

    Source: darknet's ``activations.h``. Overflow of the exponential is its limit, and what is not a number stays so.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATIONS[name](x).astype(np.float32, copy=False)
