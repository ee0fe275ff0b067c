"""Activations that are not x > 0 ? x : slope * x, and their slopes, as formulas.

A curve is a formula: Python's operators on `Expression` emit LLVM's vector instructions. To add one, write its formula
into `CURVES` and its name into `operations.CURVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ....layers.activations import GELU_CUBIC, GELU_LINEAR, SELU_ALPHA, SELU_SCALE
from ..isa import ISA, LANES
from .vector import INTS, REGISTER, from_nearest, multiply_add, nearest, scale_by_power


class Expression:
    """A register that is yet to be computed, or a mask of its lanes."""

    def __init__(self, build: Any, value: Any) -> None:
        self.build, self.value = build, value

    def _same(self, other: Expression | float) -> Any:
        return other.value if isinstance(other, Expression) else ir.Constant(REGISTER, [other] * LANES)

    def __add__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fadd(self.value, self._same(other)))

    def __sub__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fsub(self.value, self._same(other)))

    def __rsub__(self, other: float) -> Expression:
        return Expression(self.build, self.build.fsub(self._same(other), self.value))

    def __mul__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fmul(self.value, self._same(other)))

    def __truediv__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fdiv(self.value, self._same(other)))

    def __rtruediv__(self, other: float) -> Expression:
        return Expression(self.build, self.build.fdiv(self._same(other), self.value))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Expression:
        return Expression(self.build, self.build.fneg(self.value))

    def __lt__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fcmp_ordered("<", self.value, self._same(other)))

    def __gt__(self, other: Expression | float) -> Expression:
        return Expression(self.build, self.build.fcmp_ordered(">", self.value, self._same(other)))

    def equals(self, other: Expression | float) -> Expression:
        """Lanes that are equal."""
        return Expression(self.build, self.build.fcmp_ordered("==", self.value, self._same(other)))

    def times_plus(self, factor: Expression | float, other: Expression | float) -> Expression:
        """self * factor + other, rounded once."""
        return Expression(self.build, multiply_add(self.build, self.value, self._same(factor), self._same(other)))


def where(mask: Expression, yes: Expression | float, no: Expression | float) -> Expression:
    """`yes` in the lanes of `mask`, `no` elsewhere."""
    build = mask.build
    return Expression(build, build.select(mask.value, mask._same(yes), mask._same(no)))


_LOG2_E = 1.4426950408889634
# ln 2 in two parts: what float32 holds in few bits, so that small integers times it are exact, and the rest.
_LN2_UPPER, _LN2_LOWER = 0.693359375, -2.12194440e-4
_ROUNDER = 1.5 * 2**23  # added to a number it leaves the nearest integer in the last bits
# 1 / ln 2 in two parts: what float32 holds, and the rest.
_LOG2_E_UPPER, _LOG2_E_LOWER = 1.4426950216293335, 1.92596299e-08
# (2**f - 1) / f for |f| <= 1 / 2, fitted for the least relative error of 2**f: 9e-8.
_EXP2 = 0.6931469775968304, 0.2402224208325916, 0.05550733746269501, 0.00967151275285017, 0.0013264726448519175
# (expm1(r) - r) / r^2 for |r| <= ln 2 / 2, fitted for the least relative error of expm1: 3e-8.
_POLYNOMIAL = 0.5, 0.16666570305824280, 0.04166635125875473, 0.00836438313126564, 0.00139432179275901


def _shift(x: Expression) -> Expression:
    """The integer nearest to x / ln 2, plus `_ROUNDER`."""
    return x.times_plus(_LOG2_E, _ROUNDER)


def _power_of_two(shifted: Expression) -> Expression:
    """2**n, given n + `_ROUNDER`, for integers n from -126 to 127; 0 for -127, and infinity for 128."""
    build, offset = shifted.build, 0x4B400000 - 127  # the rounder's bits, less the exponent's bias
    n = build.sub(build.bitcast(shifted.value, INTS), ir.Constant(INTS, [offset] * LANES))
    return Expression(build, build.bitcast(build.shl(n, ir.Constant(INTS, [23] * LANES)), REGISTER))


def _polynomial(coefficients: tuple[float, ...], x: Expression) -> Expression:
    p = Expression(x.build, ir.Constant(REGISTER, [coefficients[-1]] * LANES))
    for coefficient in coefficients[-2::-1]:
        p = p.times_plus(x, coefficient)
    return p


def exp(x: Expression) -> Expression:
    """e**x; 0 and infinity near the ends of float32's range.

    It is 2**n * 2**f, which takes three operations fewer than 2**n * e**r. The relative error is at most 3e-7; with
    instructions for n and f, which save half of swish's 19 cycles, at most 3e-7 + 6e-8 |x|: as much as the rounding
    of x itself causes.
    """
    if ISA.scale:
        build, power = x.build, (x * _LOG2_E).value
        f, n = Expression(build, from_nearest(build, power)), nearest(build, power)
        return Expression(build, scale_by_power(build, _polynomial(_EXP2, f).times_plus(f, 1.0).value, n))
    x = where(x < -88.3, -88.3, x)
    x = where(x > 89.0, 89.0, x)
    shifted = _shift(x)
    f = x.times_plus(_LOG2_E_LOWER, x.times_plus(_LOG2_E_UPPER, _ROUNDER - shifted))
    return _polynomial(_EXP2, f).times_plus(f, 1.0) * _power_of_two(shifted)


def expm1(x: Expression) -> Expression:
    """e**x - 1 for x <= 0, with a relative error of at most 3e-7."""
    x = where(x < -80.0, -80.0, x)
    shifted = _shift(x)
    multiple, scale = shifted - _ROUNDER, _power_of_two(shifted)
    r = multiple.times_plus(-_LN2_LOWER, multiple.times_plus(-_LN2_UPPER, x))
    p = (r * r).times_plus(_polynomial(_POLYNOMIAL, r), r)
    return p.times_plus(scale, scale - 1.0)


def tanh(x: Expression) -> Expression:
    """The hyperbolic tangent, with a relative error of at most 6e-7."""
    negative = x < 0.0
    y = expm1(where(negative, x, -x) * 2.0)
    y = y / (y + 2.0)
    return where(negative, y, 0.0 - y)  # of 0 it is 0, not -0


def logistic(x: Expression) -> Expression:
    """1 / (1 + e**-x)."""
    return 1.0 / (1.0 + exp(-x))


def _floor(x: Expression) -> Expression:
    build = x.build
    whole = Expression(build, build.sitofp(build.fptosi(x.value, INTS), REGISTER))
    floor = where(whole > x, whole - 1.0, whole)
    small = where(x < 0.0, -x, x) < 2.0**23  # larger ones are integers
    return where(small, floor, x)


def _elu(x: Expression) -> Expression:
    return where(x < 0.0, expm1(where(x < 0.0, x, 0.0)), x)


def _selu(x: Expression) -> Expression:
    return SELU_SCALE * where(x < 0.0, SELU_ALPHA * expm1(where(x < 0.0, x, 0.0)), x)


def _plse(x: Expression) -> Expression:
    outer = where(x < 0.0, 0.01 * (x + 4.0), 0.01 * (x - 4.0) + 1.0)
    return where(x < -4.0, outer, where(x > 4.0, outer, 0.125 * x + 0.5))


def _stair(x: Expression) -> Expression:
    n, half = _floor(x), _floor(x / 2.0)
    return where(n.equals(2.0 * _floor(n / 2.0)), half, (x - n) + half)


def _softplus_tanh(e: Expression) -> Expression:
    """tanh(ln(1 + e))."""
    n = e * (e + 2.0)
    return n / (n + 2.0)


def _mish(x: Expression) -> Expression:
    return x * _softplus_tanh(exp(where(x > 20.0, 20.0, x)))  # from there on the factor is 1


def _mish_slope(x: Expression) -> Expression:
    e = exp(where(x > 20.0, 20.0, x))
    y = _softplus_tanh(e)
    return y + x * (1.0 - y * y) * (e / (e + 1.0))


def _swish_slope(x: Expression) -> Expression:
    y = logistic(x)
    return y * (x * (1.0 - y) + 1.0)


def _gelu_exponent(x: Expression) -> Expression:
    return x * (x * x).times_plus(2 * GELU_CUBIC, 2 * GELU_LINEAR)


def _gelu_slope(x: Expression) -> Expression:
    x = where(x < -10.0, -10.0, where(x > 10.0, 10.0, x))
    y = logistic(_gelu_exponent(x))
    return y + x * y * (1.0 - y) * (x * x).times_plus(6 * GELU_CUBIC, 2 * GELU_LINEAR)


# As layers/activations.py defines them.
CURVES: dict[str, Callable[[Expression], Expression]] = {
    "logistic": logistic,
    "loggy": lambda x: 2.0 * logistic(x) - 1.0,
    "elu": _elu,
    "selu": _selu,
    "ramp": lambda x: where(x > 0.0, x, 0.0 * x) + 0.1 * x,
    "tanh": tanh,
    "plse": _plse,
    "lhtan": lambda x: where(x < 0.0, 0.001 * x, where(x > 1.0, 0.001 * (x - 1.0) + 1.0, x)),
    "hardtan": lambda x: where(x < -1.0, -1.0, where(x > 1.0, 1.0, x)),
    "stair": _stair,
    "relu6": lambda x: where(x < 0.0, 0.0, where(x > 6.0, 6.0, x)),
    "swish": lambda x: x / (1.0 + exp(-x)),
    "mish": _mish,
    "hard_mish": lambda x: where(x > 0.0, x, where(x < -2.0, 0.0, x * (0.5 * x + 1.0))),
    "gelu": lambda x: x / (1.0 + exp(-_gelu_exponent(x))),
}


# Their slopes, by the output y, or by the input x where layers/activations.py defines them by that.
SLOPES: dict[str, Callable[[Expression], Expression]] = {
    "logistic": lambda y: y * (1.0 - y),
    "loggy": lambda y: (y + 1.0) * (1.0 - y) * 0.5,
    "elu": lambda y: where(y < 0.0, y + 1.0, 1.0),
    "selu": lambda y: where(y < 0.0, y + SELU_SCALE * SELU_ALPHA, SELU_SCALE),
    "ramp": lambda y: where(y > 0.0, 1.1, 0.1),
    "tanh": lambda y: 1.0 - y * y,
    "plse": lambda y: where(y < 0.0, 0.01, where(y > 1.0, 0.01, 0.125)),
    "lhtan": lambda y: where(y > 0.0, where(y < 1.0, 1.0, 0.001), 0.001),
    "hardtan": lambda y: where(y > -1.0, where(y < 1.0, 1.0, 0.0), 0.0),
    "stair": lambda y: where(_floor(y).equals(y), 0.0, 1.0),
    "relu6": lambda y: where(y > 0.0, where(y < 6.0, 1.0, 0.0), 0.0),
    "swish": _swish_slope,
    "mish": _mish_slope,
    "hard_mish": lambda x: where(x > 0.0, 1.0, where(x > -2.0, x + 1.0, 0.0)),
    "gelu": _gelu_slope,
}
