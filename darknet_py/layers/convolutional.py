"""Convolution, with batch normalization or bias, then an activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cfg import choice, flag, integer, text
from .activations import ACTIVATIONS, activate
from .base import MAX_SIDE, Array, Layer, Parameter, Parameters, Shape, count_windows
from .batchnorm import normalize, statistics


class Convolutional(Layer):
    """Cross-correlation of `filters` windows of weights, `size` x `size`, over the padded input.

    Attributes
    ----------
    padding : int
        Zeros round each plane: size // 2 where the cfg says ``pad=1``.
    """

    kind = "convolutional"
    sums = True
    aliases = ("conv",)
    options = {
        "filters": integer(1, least=1),
        "size": integer(1, least=1, most=MAX_SIDE),
        "stride": integer(1, least=1),
        "pad": flag(),
        "padding": integer(0, least=0, most=MAX_SIDE),
        "groups": integer(1, least=1),
        "batch_normalize": flag(),
        "activation": choice(ACTIVATIONS, "logistic"),
    }
    ignored = (
        "dot", "bias", "adam", "bin_output", "assisted_excitation", "sway", "rotate", "stretch", "stretch_sway",
        "angle", "grad_centr", "reverse",
    )  # fmt: skip
    unsupported = {
        "binary": flag(),
        "xnor": flag(),
        "flipped": flag(),
        "stride_x": integer(follows="stride"),
        "stride_y": integer(follows="stride"),
        "dilation": integer(1),
        "antialiasing": flag(),
        "share_index": text(),
        "cbn": flag(),
        "coordconv": flag(),
    }
    filters: int
    size: int
    stride: int
    pad: bool
    padding: int
    groups: int
    batch_normalize: bool
    activation: str

    def _set_up(self, source: Shape) -> Shape:
        if self.pad:
            self.padding = self.size // 2
        for key, channels in (("groups", source.channels), ("groups", self.filters)):
            if channels % self.groups:
                raise self.section.error(f"does not divide {channels} channels", key)
        windows = [count_windows(d + 2 * self.padding, self.size, self.stride) for d in source[1:]]
        if 0 in windows:
            reason = f"larger than its input, {source.width} x {source.height} with padding {self.padding}"
            raise self.section.error(reason, "size")
        return Shape(self.filters, *windows)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Zeros before the first and after the last row, then column; more after it where a window is larger."""
        return [(self.padding, max(self.padding, self.size - d - self.padding)) for d in self.input_shapes[0][1:]]

    @property
    def parameters(self) -> dict[str, Parameter]:
        per_group = self.input_shapes[0].channels // self.groups
        return {
            "biases": Parameter((self.filters,), "bias"),
            **(statistics(self.filters) if self.batch_normalize else {}),
            "weights": Parameter((self.filters, per_group, self.size, self.size), "weight"),
        }

    @property
    def operations(self) -> int:
        fan_in = self.input_shapes[0].channels // self.groups * self.size**2
        return 2 * fan_in * self.shape.size

    def listing(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"Convolutional Layer: {height} x {width} x {channels} image, {self.filters} filters"
            f" -> {out.height} x {out.width} x {out.channels} image"
        )

    def table_row(self) -> str:
        (channels, height, width), out = self.input_shapes[0], self.shape
        return (
            f"conv  {self.filters:5d} {self.size:2d} x{self.size:2d} /{self.stride:2d}"
            f"  {width:4d} x{height:4d} x{channels:4d}"
            f"   ->  {out.width:4d} x{out.height:4d} x{out.channels:4d}"
            f"  {self.operations / 1e9:5.3f} BFLOPs"
        )

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        padded = np.pad(inputs[0], ((0, 0), (0, 0), *self.edges))
        windows = sliding_window_view(padded, (self.size, self.size), axis=(2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride]
        n, channels, height, width = windows.shape[:4]
        columns = windows.reshape(n, self.groups, channels // self.groups, height, width, -1)
        columns = columns.transpose(0, 1, 2, 5, 3, 4).reshape(n, self.groups, -1, height * width)
        weights = parameters["weights"].reshape(self.groups, self.filters // self.groups, -1)
        x = (weights @ columns).reshape(n, *self.shape)
        if self.batch_normalize:
            x = normalize(x, parameters)
        return activate(self.activation, x + parameters["biases"].reshape(-1, 1, 1))
