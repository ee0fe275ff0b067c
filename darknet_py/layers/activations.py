"""Activation functions and their derivatives, by the names that a cfg gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .base import Array

SELU_SCALE = 1.0507
SELU_ALPHA = 1.6732


@dataclass(frozen=True)
class Formula:
    """An activation: y = function(x).

    Attributes
    ----------
    function : callable
        Of an array x of any floating type.
    derivative : callable
        Of y, or of x.
    of : str
        Which of the two `derivative` takes, and training keeps.
    """

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    of: Literal["output", "input"] = "output"


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


# The derivatives are darknet's, of the output where not said otherwise; at a kink they take one of the sides.
ACTIVATIONS: dict[str, Formula] = {
    "linear": Formula(lambda x: x, np.ones_like),
    "leaky": Formula(lambda x: np.where(x < 0, 0.1 * x, x), lambda y: np.where(y > 0, 1, 0.1)),
    "relu": Formula(lambda x: x * (x > 0), lambda y: y > 0),
    "logistic": Formula(_logistic, lambda y: y * (1 - y)),
    "loggy": Formula(lambda x: 2 * _logistic(x) - 1, lambda y: (1 + y) * (1 - y) / 2),
    "elu": Formula(_elu, lambda y: np.where(y >= 0, 1, y + 1)),
    "selu": Formula(_selu, lambda y: np.where(y >= 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)),
    "relie": Formula(lambda x: np.where(x <= 0, 0.01 * x, x), lambda y: np.where(y > 0, 1, 0.01)),
    "ramp": Formula(lambda x: x * (x > 0) + 0.1 * x, lambda y: (y > 0) + 0.1),
    "tanh": Formula(np.tanh, lambda y: 1 - y * y),
    "plse": Formula(_plse, lambda y: np.where((y >= 0) & (y <= 1), 0.125, 0.01)),
    "lhtan": Formula(_lhtan, lambda y: np.where((y > 0) & (y < 1), 1, 0.001)),
    "hardtan": Formula(lambda x: np.clip(x, -1, 1), lambda y: (y > -1) & (y < 1)),
    "stair": Formula(_stair, lambda y: y != np.floor(y)),
}


def activate(name: str, x: Array) -> Array:
    """`x` through the activation `name`; the type and shape of `x`.

    Source: darknet's ``activations.h``. Overflow of the exponential is its limit, and what is not a number stays so.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATIONS[name].function(x).astype(x.dtype, copy=False)


def keep(name: str, x: Array, y: Array) -> Array:
    """What `differentiate` takes of y = activate(name, x): `x` or `y`."""
    return x if ACTIVATIONS[name].of == "input" else y


def differentiate(name: str, kept: Array, delta: Array) -> Array:
    """`delta` of an activation's output -> delta of its input; `kept` is what `keep` gave."""
    with np.errstate(over="ignore", invalid="ignore"):
        return delta * ACTIVATIONS[name].derivative(kept).astype(kept.dtype, copy=False)
