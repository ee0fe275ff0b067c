"""Batch normalization with the statistics of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Array, Arrays, Drawn, Gradients, Layer, Saved
from .dialect import Dialect
from .parameter import Parameter

GRADIENT_EPSILON = 1e-5  # added to the variance in the gradient, in all dialects


def normalize(x: Array, parameters: Arrays, dialect: Dialect) -> Array:
    """scale * (x - mean) / the dialect's divisor, channel by channel; `x` is (n, channels, ...)."""
    column = (-1,) + (1,) * (x.ndim - 2)
    scales, means, variances = (parameters[name].reshape(column) for name in ("scales", "means", "variances"))
    return scales * ((x - means) / dialect.divisor(variances))


def normalize_batch(x: Array, parameters: Arrays, dialect: Dialect, fixed: bool) -> tuple[Array, Saved]:
    """`normalize` by the mini-batch's mean and variance (divided by N - 1), and what `normalize_backward` needs.

    Where the statistics are `fixed`, by those of `parameters`.
    """
    if fixed:
        return normalize(x, parameters, dialect), {"sums": x}
    rest = (0, *range(2, x.ndim))
    measured = {"means": x.mean(axis=rest), "variances": x.var(axis=rest, ddof=1)}
    return normalize(x, {**parameters, **measured}, dialect), {**measured, "sums": x}


def normalize_backward(delta: Array, saved: Saved, parameters: Arrays, dialect: Dialect) -> tuple[Array, Array]:
    """The delta of `normalize_batch`'s input, and the gradient of the scales.

    Darknet's hand-written formula, with N and another small number: close to the true gradient, but not equal to it.
    Through fixed statistics, which do not depend on the input, it is the true one. Source: ``batchnorm_layer.c``.
    """
    fixed = "means" not in saved
    x, scales = saved["sums"], parameters["scales"]
    means, variances = (parameters if fixed else saved)["means"], (parameters if fixed else saved)["variances"]
    rest, column = (0, *range(2, x.ndim)), (-1,) + (1,) * (x.ndim - 2)
    count = x.size // x.shape[1]
    centred = x - means.reshape(column)
    scale_gradient = (delta * centred).sum(axis=rest) / dialect.divisor(variances)
    delta = delta * scales.reshape(column)
    if fixed:
        return delta / dialect.divisor(variances).reshape(column), scale_gradient
    factor = 1 / np.sqrt(variances + x.dtype.type(GRADIENT_EPSILON))
    mean_delta = -factor * delta.sum(axis=rest)
    variance_delta = factor**3 * (delta * centred).sum(axis=rest) / -2
    through_statistics = 2 * variance_delta.reshape(column) * centred + mean_delta.reshape(column)
    return delta * factor.reshape(column) + through_statistics / count, scale_gradient


def statistics(channels: int) -> dict[str, Parameter]:
    """The parameters that normalization takes, in file order."""
    return {
        "scales": Parameter((channels,), "scale"),
        "means": Parameter((channels,), "statistic"),
        "variances": Parameter((channels,), "statistic", positive=True),
    }


class BatchNorm(Layer):
    """Normalization as a layer of its own, and a bias."""

    kind = "batchnorm"
    overwrites = 0

    @property
    def parameters(self) -> dict[str, Parameter]:
        channels = self.shape.channels
        return {"biases": Parameter((channels,), "bias", optional=True), **statistics(channels)}

    def listing(self) -> str:
        channels, height, width = self.shape
        return f"Batch Normalization Layer: {width} x {height} x {channels} image"

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        return normalize(inputs[0], parameters, self.dialect) + parameters["biases"].reshape(-1, 1, 1)

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        output, saved = normalize_batch(inputs[0], parameters, self.dialect, self.fixed)
        return output + parameters["biases"].reshape(-1, 1, 1), saved

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        gradient, scales = normalize_backward(delta, saved, parameters, self.dialect)
        return Gradients((gradient,), {"biases": delta.sum(axis=(0, 2, 3)), "scales": scales})
