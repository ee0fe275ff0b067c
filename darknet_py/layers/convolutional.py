"""Convolution, with batch normalization or bias, then an activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cfg import choice, flag, integer, number
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import MAX_SIDE, Array, Arrays, Drawn, Gradients, Layer, Saved, Shape
from .batchnorm import normalize, normalize_backward, normalize_batch, statistics
from .blur import ANTIALIASING, Blurring
from .parameter import Parameter
from .product import multiply
from .windows import Windows


class Convolutional(Blurring):
    """Cross-correlation of `filters` windows of weights, `size` x `size`, over the padded input.

    Attributes
    ----------
    padding : int
        Zeros round each plane: size // 2 where the cfg says ``pad=1``; `dilation` times as many are used.
    """

    kind = "convolutional"
    sums = True
    options = {
        "filters": integer(1, least=1),
        "size": integer(1, least=1, most=MAX_SIDE),
        "stride": integer(1, least=1),
        "pad": flag(),
        "padding": integer(0, least=0, most=MAX_SIDE),
        "groups": integer(1, least=1),
        "batch_normalize": flag(),
        "cbn": flag(),
        "flipped": flag(),
        "share_index": integer(),
        "activation": choice(ACTIVATIONS, "logistic"),
    }
    extras = {
        "stride_x": integer(follows="stride", least=1),
        "stride_y": integer(follows="stride", least=1),
        "dilation": integer(1, least=1, most=1024),
        "antialiasing": ANTIALIASING,
        "xnor": flag(),
    }
    ignored = ("bias", "adam")
    without_effect = {"binary": "the weights keep their precision, as in darknet on a CPU"}
    untrained = {
        "binary": flag(),
        "xnor": flag(),
        "cbn": flag(),
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
        "coordconv": flag(),
    }
    filters: int
    size: int
    stride: int
    pad: bool
    padding: int
    dilation: int
    groups: int
    batch_normalize: bool
    cbn: bool
    flipped: bool
    share_index: int | None
    xnor: bool
    activation: str

    def _set_up(self, source: Shape) -> Shape:
        if self.pad:
            self.padding = self.size // 2
        if self.stride_x == self.stride_y:
            self.stride = self.stride_x
        if self.size == 1:
            self.dilation = 1
        if self.cbn:
            self.batch_normalize = True
        if self.xnor:
            self.groups = 1
        if self.share_index is not None:
            self.shares = self._absolute("share_index", self.share_index)
        for channels in (source.channels, self.filters):
            if channels % self.groups:
                raise self.section.error(f"does not divide {channels} channels", "groups")
        windows = self.windows.count(source, 2 * self.padding)
        if 0 in windows:
            reason = f"larger than its input, {source.width} x {source.height} with padding {self.padding}"
            raise self.section.error(reason, "size")
        self._check_dilation()
        self.sharp = Shape(self.filters, *windows)
        return self._blurred_shape()

    def _check_dilation(self) -> None:
        """Refuse wrong counts: darknet counts windows as if they were not dilated, and takes that many dilated ones."""
        if self.dilation > 1 and 2 * self.padding != self.size - 1:
            reason = f"an odd size and padding={self.size // 2} are expected; with others darknet counts wrongly"
            raise self.section.error(reason, "dilation")

    def check_earlier(self, layers: Sequence[Layer]) -> None:
        """See `Layer`."""
        super().check_earlier(layers)
        if self.shares is None:
            return
        owner = layers[self.shares]
        if not isinstance(owner, Convolutional):
            raise self.section.error(
                f"layer {self.shares} is [{owner.kind}]; a [{self.kind}] is expected", "share_index"
            )
        shapes, others = ({name: p.shape for name, p in layer.taken.items()} for layer in (self, owner))
        if shapes != others:
            reason = f"layer {self.shares} has other parameters; filters, size, groups, channels and batch_normalize"
            raise self.section.error(f"{reason} must be alike", "share_index")

    @property
    def affine(self) -> bool:  # type: ignore[override]
        """See `Layer`."""
        kind = self.size, self.stride, self.padding, self.activation
        return kind == (1, 1, 0, "linear") and not self.special

    @property
    def windows(self) -> Windows:
        """Where its windows lie."""
        return Windows(self.size, self.sharp_strides, self.padding * self.dilation, self.dilation)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Zeros before the first and after the last row, then column; more at the end where a window is larger."""
        first, extent = self.windows.first, self.windows.extent
        return [(first, max(first, extent - side - first)) for side in self.input_shapes[0][1:]]

    @property
    def parameters(self) -> dict[str, Parameter]:
        return self.taken if self.shares is None else {}

    @property
    def taken(self) -> dict[str, Parameter]:
        """See `Layer`."""
        per_group = self.input_shapes[0].channels // self.groups
        weights = (self.filters, per_group, self.size, self.size)
        return {
            "biases": Parameter((self.filters,), "bias"),
            **(statistics(self.filters) if self.batch_normalize else {}),
            "weights": Parameter(weights, "weight", flipped=self.flipped),
        }

    @property
    def operations(self) -> int:
        fan_in = self.input_shapes[0].channels // self.groups * self.size**2
        return 2 * fan_in * self.sharp.size

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
        return self._blurred(activate(self.activation, x + parameters["biases"].reshape(-1, 1, 1)))

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        saved = {"inputs": inputs[0]}
        x = self._convolve(inputs[0], parameters)
        if self.batch_normalize:
            x, of_batch = normalize_batch(x, parameters, self.dialect, self.fixed)
            saved.update(of_batch)
        x = x + parameters["biases"].reshape(-1, 1, 1)
        y = activate(self.activation, x)
        saved["activated"] = keep(self.activation, x, y)
        return self._blurred(y), saved

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = self._sharpened(delta)
        delta = differentiate(self.activation, saved["activated"], delta)
        gradients = {"biases": delta.sum(axis=(0, 2, 3))}
        if self.batch_normalize:
            delta, gradients["scales"] = normalize_backward(delta, saved, parameters, self.dialect)
        inputs = saved["inputs"]
        delta = delta.reshape(len(delta), self.groups, self.filters // self.groups, -1)
        products = multiply(delta, self._columns(inputs).swapaxes(2, 3)).sum(axis=0)
        gradients["weights"] = products.reshape(parameters["weights"].shape)
        columns = multiply(self._filters(parameters).swapaxes(1, 2), delta)
        taps = columns.reshape(*inputs.shape[:2], self.size, self.size, *self.sharp[1:]).transpose(0, 1, 4, 5, 2, 3)
        return Gradients((self.windows.add_up(taps, inputs.shape),), gradients)

    def _convolve(self, x: Array, parameters: Arrays) -> Array:
        if self.xnor:
            x = np.where(x > 0, x.dtype.type(1), x.dtype.type(-1))
        return multiply(self._filters(parameters), self._columns(x)).reshape(len(x), *self.sharp)

    def multipliers(self, parameters: Arrays) -> Array:
        """The weights; with `xnor` their signs, times the mean magnitude of the filter's weights."""
        weights = parameters["weights"]
        if not self.xnor:
            return weights
        means = np.abs(weights).mean(axis=(1, 2, 3), keepdims=True)
        return np.where(weights > 0, means, -means)

    def _filters(self, parameters: Arrays) -> Array:
        """The weights, as groups x filters x taps."""
        return self.multipliers(parameters).reshape(self.groups, self.filters // self.groups, -1)

    def _columns(self, x: Array) -> Array:
        """Each window's cells, as n x groups x taps x windows; a tap is a channel of the group, row and column."""
        windows = self.windows.take(x, self.sharp[1:])
        n, channels, height, width = windows.shape[:4]
        columns = windows.reshape(n, self.groups, channels // self.groups, height, width, -1)
        return columns.transpose(0, 1, 2, 5, 3, 4).reshape(n, self.groups, -1, height * width)
