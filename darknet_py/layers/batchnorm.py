"""Batch normalization with the statistics of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Array, Layer, Parameter, Parameters, Shape

EPSILON = 1e-6  # added to the standard deviation, not to the variance


def normalize(x: Array, parameters: Parameters) -> Array:
    """scale * (x - mean) / (sqrt(variance) + 1e-6), channel by channel; `x` is (n, channels, ...)."""
    column = (-1,) + (1,) * (x.ndim - 2)
    scales, means, variances = (parameters[name].reshape(column) for name in ("scales", "means", "variances"))
    return scales * ((x - means) / (np.sqrt(variances) + np.float32(EPSILON)))


def statistics(channels: int) -> dict[str, Parameter]:
    """The parameters that normalization takes, in file order."""
    return {
        "scales": Parameter((channels,), "scale"),
        "means": Parameter((channels,), "statistic"),
        "variances": Parameter((channels,), "statistic", positive=True),
    }


class BatchNorm(Layer):
    """Normalization as a layer of its own; it has no bias."""

    kind = "batchnorm"
    elementwise = True

    def _set_up(self, source: Shape) -> Shape:
        return source

    @property
    def parameters(self) -> dict[str, Parameter]:
        return statistics(self.shape.channels)

    def listing(self) -> str:
        channels, height, width = self.shape
        return f"Batch Normalization Layer: {width} x {height} x {channels} image"

    def table_row(self) -> str:
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        return normalize(inputs[0], parameters)
