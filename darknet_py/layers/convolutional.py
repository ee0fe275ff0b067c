"""Convolution, with batch normalization or bias, then an activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cfg import choice, flag, integer, number, text
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import MAX_SIDE, Array, Arrays, Drawn, Gradients, Layer, Parameter, Saved, Shape, count_windows
from .batchnorm import normalize, normalize_backward, normalize_batch, statistics


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
    ignored = ("bias", "adam")
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
    untrained = {
        "dot": flag(),
        "bin_output": flag(),
        "assisted_excitation": number(0),
        "sway": flag(),
        "rotate": flag(),
        "stretch": flag(),
        "stretch_sway": flag(),
        "angle": number(0),
        "grad_centr": flag(),
        "reverse": number(0),
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

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        x = self._convolve(inputs[0], parameters)
        if self.batch_normalize:
            x = normalize(x, parameters, self.dialect)
        return activate(self.activation, x + parameters["biases"].reshape(-1, 1, 1))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        saved = {"inputs": inputs[0]}
        x = self._convolve(inputs[0], parameters)
        if self.batch_normalize:
            x, of_batch = normalize_batch(x, parameters, self.dialect)
            saved.update(of_batch)
        x = x + parameters["biases"].reshape(-1, 1, 1)
        y = activate(self.activation, x)
        saved["activated"] = keep(self.activation, x, y)
        return y, saved

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta)
        gradients = {"biases": delta.sum(axis=(0, 2, 3))}
        if self.batch_normalize:
            delta, gradients["scales"] = normalize_backward(delta, saved, parameters, self.dialect)
        inputs = saved["inputs"]
        delta = delta.reshape(len(delta), self.groups, self.filters // self.groups, -1)
        products = (delta @ self._columns(inputs).swapaxes(2, 3)).sum(axis=0)
        gradients["weights"] = products.reshape(parameters["weights"].shape)
        columns = self._filters(parameters).swapaxes(1, 2) @ delta
        return Gradients((self._sum_columns(columns, inputs),), gradients)

    def _convolve(self, x: Array, parameters: Arrays) -> Array:
        return (self._filters(parameters) @ self._columns(x)).reshape(len(x), *self.shape)

    def _filters(self, parameters: Arrays) -> Array:
        """The weights, as groups x filters x taps."""
        return parameters["weights"].reshape(self.groups, self.filters // self.groups, -1)

    def _columns(self, x: Array) -> Array:
        """What each window holds, as n x groups x taps x windows; a tap is a channel of the group, row and column."""
        padded = np.pad(x, ((0, 0), (0, 0), *self.edges))
        windows = sliding_window_view(padded, (self.size, self.size), axis=(2, 3))
        windows = windows[:, :, :: self.stride, :: self.stride]
        n, channels, height, width = windows.shape[:4]
        columns = windows.reshape(n, self.groups, channels // self.groups, height, width, -1)
        return columns.transpose(0, 1, 2, 5, 3, 4).reshape(n, self.groups, -1, height * width)

    def _sum_columns(self, columns: Array, x: Array) -> Array:
        """`_columns` backward: each cell's sum over the windows that hold it, in the shape of `x`."""
        n, channels, height, width = x.shape
        (top, bottom), (left, right) = self.edges
        padded = np.zeros((n, channels, top + height + bottom, left + width + right), x.dtype)
        taps = columns.reshape(n, channels, self.size, self.size, *self.shape[1:])
        for i, j in np.ndindex(self.size, self.size):
            rows = slice(i, i + (self.shape.height - 1) * self.stride + 1, self.stride)
            cells = slice(j, j + (self.shape.width - 1) * self.stride + 1, self.stride)
            padded[:, :, rows, cells] += taps[:, :, i, j]
        return padded[:, :, top : top + height, left : left + width]
