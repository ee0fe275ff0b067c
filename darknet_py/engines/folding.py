"""Batch normalization and biases of a layer as factors and sums, channel by channel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layers import Array, Arrays, Layer

# What normalization subtracts may be this many times the output's own order of magnitude; beyond, float32 would lose
# the output in the sum. Trained networks reach 6.
MOST_CANCELLED = 256
# Products with weights that have a greater factor in them could be beyond float32 where their scaled sum is not. A
# variance of 0 makes 1e6.
MOST_FACTOR = 1e12


class Folded(NamedTuple):
    """A layer's batch normalization and biases as y = factor * x + bias, float32, channel by channel.

    The factor can go into the weights: a scaled sum of products is a sum of scaled products.

    Attributes
    ----------
    factor, bias : array
    after : (array, array), optional
        A second factor and bias, to be applied to y, where y alone would lose what is small beside the mean, or
        overflow before its terms cancel.
    """

    factor: Array
    bias: Array
    after: tuple[Array, Array] | None = None


def fold(layer: Layer, parameters: Arrays) -> Folded:
    """The factors and biases of `layer` with these parameters."""
    if "scales" not in parameters:
        only = np.array(parameters["biases"])
        return Folded(np.ones_like(only), only)
    names = ("biases", "scales", "means", "variances")
    biases, scales, means, variances = (parameters[name].astype(np.float64) for name in names)
    factor = scales / layer.dialect.divisor(variances)
    cancels = np.abs(means * factor) > MOST_CANCELLED * (np.abs(scales) + np.abs(biases))
    apart = cancels | (np.abs(factor) > MOST_FACTOR)
    folded = np.where(apart, 1, factor), np.where(apart, -means, biases - means * factor)
    after = np.where(apart, factor, 1), np.where(apart, biases, 0)
    with np.errstate(over="ignore"):  # outputs that are not finite are reported
        first, second = ((f.astype(np.float32), b.astype(np.float32)) for f, b in (folded, after))
    return Folded(*first, second if apart.any() else None)
