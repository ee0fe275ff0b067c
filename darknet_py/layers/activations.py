"""Activation functions and their derivatives, by the names that a cfg gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from .base import Array

SELU_SCALE = 1.0507
SELU_ALPHA = 1.6732
GELU_LINEAR, GELU_CUBIC = 0.797885, 0.035677  # coefficients of the polynomial whose tanh gelu takes
SHARE_EPSILON = 1e-4  # added to the sums by which normalize_channels and its kind divide


class Formula(NamedTuple):
    """An activation: y = function(x).

    Attributes
    ----------
    function : callable
        Takes an array x of any floating type.
    derivative : callable
        Takes y, or x.
    of : str
        Which of the two `derivative` takes, and training keeps.
    """

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    of: Literal["output", "input"] = "output"

    def backward(self, kept: Array, delta: Array) -> Array:
        """`delta` of y -> delta of x; `kept` is what `derivative` takes."""
        return delta * self.derivative(kept).astype(kept.dtype, copy=False)


class ChannelFormula(NamedTuple):
    """An activation of all channels of a cell together.

    Attributes
    ----------
    function : callable
        Takes an array x, with channels along axis 1.
    backward : callable
        (`kept`, delta of y) -> delta of x.
    of : str
        Whether `kept` is y or x.
    """

    function: Callable[[Any], Any]
    backward: Callable[[Any, Any], Any]
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


def _swish_derivative(x: Any) -> Any:
    y = _logistic(x)
    return y * (1 + x * (1 - y))


def _mish_derivative(x: Any) -> Any:
    y = np.tanh(np.logaddexp(0, x))
    return y + x * (1 - y * y) * _logistic(x)


def _hard_mish(x: Any) -> Any:
    return np.where(x > 0, x, np.where(x < -2, 0, x * (0.5 * x + 1)))


def _gelu_exponent(x: Any) -> Any:
    """Twice what darknet takes the tanh of: (1 + tanh(u)) / 2 is the logistic of 2 u, in which nothing cancels."""
    return x * (2 * GELU_LINEAR + 2 * GELU_CUBIC * x * x)


def _gelu_derivative(x: Any) -> Any:
    x = np.clip(x, -10, 10)  # beyond, the limits
    y = _logistic(_gelu_exponent(x))
    return y + x * y * (1 - y) * (2 * GELU_LINEAR + 6 * GELU_CUBIC * x * x)


def _share(x: Any) -> Any:
    x = np.maximum(x, 0)
    return x / (SHARE_EPSILON + x.sum(axis=1, keepdims=True))


def _share_backward(x: Any, delta: Any) -> Any:
    y, total = _share(x), SHARE_EPSILON + np.maximum(x, 0).sum(axis=1, keepdims=True)
    return np.where(x > 0, (delta - (delta * y).sum(axis=1, keepdims=True)) / total, 0)


def _share_exponentials(x: Any, most: Any, epsilon: Any) -> Any:
    x = np.exp(x - most)
    return x / (epsilon + x.sum(axis=1, keepdims=True))


def _softmax(x: Any) -> Any:
    """e^x / (epsilon + sum), numerator and denominator divided by e^most, so that neither overflows."""
    most = np.maximum(x.max(axis=1, keepdims=True), 0)
    return _share_exponentials(x, most, SHARE_EPSILON * np.exp(-most))


def _softmax_backward(y: Any, delta: Any) -> Any:
    return y * (delta - (delta * y).sum(axis=1, keepdims=True))


def _softmax_maximum(x: Any) -> Any:
    return _share_exponentials(x, x.max(axis=1, keepdims=True), SHARE_EPSILON)


def _softmax_maximum_backward(y: Any, delta: Any) -> Any:
    """As for `_softmax`, plus the gradient of the largest value, which is subtracted from all: the first of equals."""
    first = y.argmax(axis=1, keepdims=True)
    largest = np.take_along_axis(y, first, axis=1)  # 1 / (epsilon + sum)
    back = _softmax_backward(y, delta)
    own = np.take_along_axis(back, first, axis=1)
    np.put_along_axis(back, first, own - SHARE_EPSILON * largest * (delta * y).sum(axis=1, keepdims=True), axis=1)
    return back


# The derivatives are darknet's, of the output where not said otherwise; at a kink they are that of one side.
ACTIVATIONS: dict[str, Formula | ChannelFormula] = {
    "linear": Formula(lambda x: x, lambda y: np.ones_like(y)),
    "leaky": Formula(lambda x: np.where(x < 0, 0.1 * x, x), lambda y: np.where(y > 0, 1, 0.1)),
    "relu": Formula(lambda x: x * (x > 0), lambda y: y > 0),
    "logistic": Formula(_logistic, lambda y: y * (1 - y)),
    "loggy": Formula(lambda x: 2 * _logistic(x) - 1, lambda y: (1 + y) * (1 - y) / 2),
    "elu": Formula(_elu, lambda y: np.where(y >= 0, 1, y + 1)),
    "selu": Formula(_selu, lambda y: np.where(y >= 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)),
    "relie": Formula(lambda x: np.where(x <= 0, 0.01 * x, x), lambda y: np.where(y > 0, 1, 0.01)),
    "ramp": Formula(lambda x: x * (x > 0) + 0.1 * x, lambda y: (y > 0) + 0.1),
    "tanh": Formula(lambda x: np.tanh(x), lambda y: 1 - y * y),
    "plse": Formula(_plse, lambda y: np.where((y >= 0) & (y <= 1), 0.125, 0.01)),
    "lhtan": Formula(_lhtan, lambda y: np.where((y > 0) & (y < 1), 1, 0.001)),
    "hardtan": Formula(lambda x: np.clip(x, -1, 1), lambda y: (y > -1) & (y < 1)),
    "stair": Formula(_stair, lambda y: y != np.floor(y)),
    "relu6": Formula(lambda x: np.clip(x, 0, 6), lambda y: (y > 0) & (y < 6)),
    # Forward and backward as leaky: AlexeyAB's program divides by the slope only on CUDA.
    "revleaky": Formula(lambda x: np.where(x < 0, 0.1 * x, x), lambda y: np.where(y > 0, 1, 0.1)),
    "swish": Formula(lambda x: x * _logistic(x), _swish_derivative, of="input"),
    "mish": Formula(lambda x: x * np.tanh(np.logaddexp(0, x)), _mish_derivative, of="input"),
    "hard_mish": Formula(_hard_mish, lambda x: np.where(x > 0, 1, np.where(x > -2, x + 1, 0)), of="input"),
    "gelu": Formula(lambda x: x * _logistic(_gelu_exponent(x)), _gelu_derivative, of="input"),
    "normalize_channels": ChannelFormula(_share, _share_backward, of="input"),
    "normalize_channels_softmax": ChannelFormula(_softmax, _softmax_backward),
    "normalize_channels_softmax_maxval": ChannelFormula(_softmax_maximum, _softmax_maximum_backward),
}


def activate(name: str, x: Array) -> Array:
    """`x`, channels along axis 1, through the activation `name`; the result has the type and shape of `x`.

    Source: darknet's and AlexeyAB's ``activations.h``. Where the exponential overflows, the result is the limit; NaN
    stays NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATIONS[name].function(x).astype(x.dtype, copy=False)


def keep(name: str, x: Array, y: Array) -> Array:
    """What `differentiate` needs from y = activate(name, x): `x` or `y`."""
    return x if ACTIVATIONS[name].of == "input" else y


def differentiate(name: str, kept: Array, delta: Array) -> Array:
    """`delta` of an activation's output -> delta of its input; `kept` is what `keep` returned."""
    with np.errstate(over="ignore", invalid="ignore"):
        return ACTIVATIONS[name].backward(kept, delta)
