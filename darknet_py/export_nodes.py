"""The ONNX nodes of layers that have neither statistics to fold nor a shape of their own to crop.

What adds them takes the graph, the layer, and its parameters, and returns the name of their output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .layers import Array, Arrays, Layer, Shape
from .layers.blur import Blur
from .layers.convolutional import Convolutional
from .layers.local import Local
from .layers.local_avgpool import LocalAvgPool
from .layers.logistic import Logistic
from .layers.maxpool import MaxPool
from .layers.normalization import Normalization
from .layers.reorg import Reorg, Reorg3d
from .layers.route import Route
from .layers.sam import Sam
from .layers.scale_channels import ScaleChannels
from .layers.shortcut import Shortcut
from .layers.softmax import Softmax
from .layers.upsample import Upsample
from .layers.windows import Windows
from .onnx_activations import activated
from .onnx_graph import Graph

LEAST = -3.0e38  # about the least float32


def add_signs(graph: Graph, x: str) -> str:
    """1 where `x` is above 0, else -1."""
    above = graph.add("Greater", x, graph.constant("zero", 0))
    return graph.add("Where", above, graph.constant("one", 1), graph.constant("minus_one", -1))


def add_blur(graph: Graph, x: str, blur: Blur | None, source: Shape, shape: Shape) -> str:
    """`x`, of shape `source`, blurred to `shape`."""
    if blur is None:
        return x
    kernel = np.tile(blur.kernel, (source.channels, 1, 1, 1))
    pads = _pads(graph, blur.windows, 2 * blur.windows.first, source, shape)
    kernel_shape, strides = kernel.shape[2:], blur.strides
    weights = graph.constant("blur", kernel)
    return graph.add("Conv", x, weights, kernel_shape=kernel_shape, strides=strides, pads=pads, group=source.channels)


def _pads(graph: Graph, windows: Windows, padding: int, source: Shape, shape: Shape) -> list[int]:
    """How many cells windows reach, or for some size may reach, beyond a picture: above, left, below, right."""
    before = [windows.first] * 2
    if graph.growing and min(source[1:]) + padding >= windows.extent:
        return before + [padding - windows.first] * 2
    return before + windows.reach_beyond(source[1:], shape[1:])


def overhangs(layer: Layer) -> bool:
    """Whether a layer's window is larger than its picture with all borders: its nodes then only fit that size."""
    laid = []  # windows, the border's cells of both edges, the picture
    if isinstance(layer, Convolutional):
        laid.append((layer.windows, 2 * layer.windows.first, layer.input_shapes[0]))
    elif isinstance(layer, (MaxPool, LocalAvgPool)):
        laid.append((layer.windows, layer.padding, layer.input_shapes[0]))
    if isinstance(layer, (Convolutional, MaxPool)) and layer.blur is not None:
        laid.append((layer.blur.windows, 2 * layer.blur.windows.first, layer.sharp))
    return any(windows.extent > min(source[1:]) + padding for windows, padding, source in laid)


def _add_maxpool(graph: Graph, layer: MaxPool, parameters: Arrays) -> str:
    source, x = layer.input_shapes[0], graph.planes(layer)
    if layer.maxpool_depth:
        missing = -source.channels % layer.out_channels
        if missing:
            after = graph.integers("missing", [0, 0, 0, 0, 0, missing, 0, 0])
            x = graph.add("Pad", x, after, graph.constant("least", LEAST), mode="constant")
        x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
        x = graph.add("Reshape", x, graph.integers("parts", [0, 0, 0, -1, layer.out_channels]))
        return graph.add("Transpose", graph.add("ReduceMax", x, axes=[3], keepdims=0), perm=[0, 3, 1, 2])
    pads, strides = _pads(graph, layer.windows, layer.padding, source, layer.sharp), layer.windows.strides
    x = graph.add("MaxPool", x, kernel_shape=[layer.size] * 2, strides=strides, pads=pads)
    return add_blur(graph, x, layer.blur, layer.sharp, layer.shape)


def _add_local_avgpool(graph: Graph, layer: LocalAvgPool, parameters: Arrays) -> str:
    pads = _pads(graph, layer.windows, layer.padding, layer.input_shapes[0], layer.shape)
    return graph.add(
        "AveragePool",
        graph.planes(layer),
        kernel_shape=[layer.size] * 2,
        strides=layer.windows.strides,
        pads=pads,
        count_include_pad=0,
    )


def _add_softmax(graph: Graph, layer: Softmax, parameters: Arrays) -> str:
    x = graph.scaled(graph.flat(layer.inputs[0]), 1 / layer.temperature)
    if layer.hierarchy is not None:
        groups = layer.hierarchy.groups
        sizes = graph.integers("sizes", [group.stop - group.start for group in groups])
        parts = graph.split(x, sizes, len(groups), axis=1)
        x = graph.add("Concat", *(graph.add("Softmax", part, axis=-1) for part in parts), axis=1)
    elif layer.groups > 1:
        x = graph.add("Reshape", x, graph.integers("groups", [0, layer.groups, -1]))
        x = graph.add("Flatten", graph.add("Softmax", x, axis=-1))
    else:
        x = graph.add("Softmax", x, axis=-1)
    if layer.index in graph.growing:
        return graph.add("Reshape", x, graph.add("Shape", graph.planes(layer)))
    graph.flat_values.add(x)
    return x


def _add_shortcut(graph: Graph, layer: Shortcut, parameters: Arrays) -> str:
    if layer.special:
        return _add_several(graph, layer, parameters)
    x, other = graph.planes(layer, 0), graph.planes(layer, 1)
    shape, other_shape = layer.input_shapes
    if shape != other_shape:
        other = _fitted(graph, layer, other)
    if layer.alpha != 1:
        x = graph.add("Mul", x, graph.constant("alpha", _alphas(layer)))
    return activated(graph, graph.add("Add", x, graph.scaled(other, layer.beta)), layer.activation)


def _shared(layer: Shortcut) -> tuple[int, int, int]:
    """How many channels, rows and columns take part in the sum."""
    shape, other = layer.input_shapes
    channels = min(shape.channels, other.channels)
    sides = zip(shape[1:], other[1:], strict=True)
    rows, columns = (min(-(-a // layer.spread), -(-b // layer.stride)) for a, b in sides)
    return channels, rows, columns


def _fitted(graph: Graph, layer: Shortcut, other: str) -> str:
    """What a shortcut adds, fitted to its input's shape: cells are left out, or zeros put between and after them."""
    shape, other_shape = layer.input_shapes
    channels, rows, columns = _shared(layer)
    stride, spread = layer.stride, layer.spread
    if stride > 1:
        # A slice with steps would do the same; fewer programs support it.
        other = graph.add("MaxPool", other, kernel_shape=[1, 1], strides=[stride, stride])
    there = (other_shape.channels, *(-(-side // stride) for side in other_shape[1:]))
    ends = {axis: end for axis, end in enumerate((channels, rows, columns), 1) if end != there[axis - 1]}
    if ends:
        starts, axes = graph.integers("starts", [0] * len(ends)), graph.integers("axes", [*ends])
        other = graph.add("Slice", other, starts, graph.integers("ends", [*ends.values()]), axes)
    if spread > 1:
        other = graph.add("Reshape", other, graph.integers("cells", [0, channels, rows, 1, columns, 1]))
        other = graph.padded(other, "between", [0, 0, 0, spread - 1, 0, spread - 1])
        rows, columns = rows * spread, columns * spread
        other = graph.add("Reshape", other, graph.integers("planes", [0, channels, rows, columns]))
    after = [0, shape.channels - channels, shape.height - rows, shape.width - columns]
    return graph.padded(other, "after", after) if any(after) else other


def _alphas(layer: Shortcut) -> Array:
    """Alpha where something is added, 1 elsewhere."""
    channels, rows, columns = _shared(layer)
    cells = (1, 1) if layer.resizable else layer.shape[1:]  # one for all where the planes agree
    alphas = np.ones((layer.shape.channels, *cells), np.float32)
    alphas[:channels, :: layer.spread, :: layer.spread][:, :rows, :columns] = layer.alpha
    return alphas


def _add_several(graph: Graph, layer: Shortcut, parameters: Arrays) -> str:
    """The sum of outputs of one size, each times its factors, in the channels that the first one has."""
    total = ""
    for which, (shape, factors) in enumerate(zip(layer.input_shapes, layer.factors(parameters), strict=True)):
        x, channels = graph.planes(layer, which), min(shape.channels, layer.shape.channels)
        if channels < shape.channels:
            x = _sliced(graph, x, 0, channels)
        if layer.weighted:
            x = graph.add("Mul", x, graph.constant("factors", factors[:channels]))
        if channels < layer.shape.channels:
            x = graph.padded(x, "after", [0, layer.shape.channels - channels, 0, 0])
        total = graph.add("Add", total, x) if total else x
    return activated(graph, total, layer.activation)


def _sliced(graph: Graph, x: str, start: int, stop: int) -> str:
    """Channels `start` to `stop` of `x`."""
    limits = (graph.integers(name, [value]) for name, value in (("start", start), ("stop", stop), ("axis", 1)))
    return graph.add("Slice", x, *limits)


def _add_route(graph: Graph, layer: Route, parameters: Arrays) -> str:
    parts = [graph.planes(layer, which) for which in range(len(layer.inputs))]
    if layer.groups > 1:
        parts = [_sliced(graph, x, part.start, part.stop) for x, part in zip(parts, layer.parts, strict=True)]
    return graph.add("Concat", *parts, axis=1)


def _add_product(graph: Graph, layer: Sam | ScaleChannels, parameters: Arrays) -> str:
    return activated(graph, graph.add("Mul", graph.planes(layer, 0), graph.planes(layer, 1)), layer.activation)


def _add_upsample(graph: Graph, layer: Upsample, parameters: Arrays) -> str:
    x, side = graph.planes(layer), abs(layer.stride)
    if layer.stride < 0:
        x = graph.add("AveragePool", x, kernel_shape=[side] * 2, strides=[side] * 2)
        return graph.scaled(x, layer.scale * side**2)
    how = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = graph.add("Resize", x, "", graph.constant("factors", [1, 1, side, side]), **how)
    return graph.scaled(x, layer.scale)


def _add_reorg(graph: Graph, layer: Reorg, parameters: Arrays) -> str:
    (channels, height, width), s = layer.input_shapes[0], layer.stride
    if layer.reverse:
        cells, order = [0, s, s, channels // s**2, height, width], [0, 3, 4, 1, 5, 2]
    else:
        cells, order = [0, channels // s**2, height, s, width, s], [0, 3, 5, 1, 2, 4]
    x = graph.add("Reshape", graph.planes(layer), graph.integers("cells", cells))
    x = graph.add("Transpose", x, perm=order)
    return graph.add("Reshape", x, graph.integers("planes", [0, *layer.shape]))


def _add_reorg3d(graph: Graph, layer: Reorg3d, parameters: Arrays) -> str:
    operator = "DepthToSpace" if layer.reverse else "SpaceToDepth"
    return graph.add(operator, graph.planes(layer), blocksize=layer.stride)


def _add_local(graph: Graph, layer: Local, parameters: Arrays) -> str:
    """Each window's cells, picked by a convolution whose filters take one cell each, times the weights of its place."""
    channels, taps = layer.input_shapes[0].channels, layer.size**2
    cells = np.tile(np.eye(taps, dtype=np.float32).reshape(taps, 1, layer.size, layer.size), (channels, 1, 1, 1))
    pads = _pads(graph, layer.windows, 2 * layer.pad, layer.input_shapes[0], layer.shape)
    x = graph.add(
        "Conv",
        graph.planes(layer),
        graph.constant("cells", cells),
        kernel_shape=[layer.size] * 2,
        strides=layer.windows.strides,
        pads=pads,
        group=channels,
    )
    x = graph.add("Reshape", x, graph.integers("columns", [0, channels * taps, -1]))
    x = graph.add("Transpose", x, perm=[2, 0, 1])
    places = len(parameters["weights"])
    matrices = parameters["weights"].reshape(places, layer.filters, -1).swapaxes(1, 2)
    x = graph.add("Transpose", graph.add("MatMul", x, graph.constant("weights", matrices)), perm=[1, 2, 0])
    x = graph.add("Reshape", x, graph.integers("planes", [0, *layer.shape]))
    return activated(graph, graph.add("Add", x, graph.constant("biases", parameters["biases"])), layer.activation)


def _add_normalization(graph: Graph, layer: Normalization, parameters: Arrays) -> str:
    x = graph.planes(layer)
    neighbours = graph.constant("neighbours", layer.neighbours[:, :, None, None] * np.float32(layer.alpha))
    kappa = graph.constant("kappa", np.full(layer.shape.channels, layer.kappa))
    sums = graph.add("Conv", graph.add("Mul", x, x), neighbours, kappa, kernel_shape=[1, 1])
    return graph.add("Mul", x, graph.add("Pow", sums, graph.constant("power", -layer.beta)))


def _add_logistic(graph: Graph, layer: Logistic, parameters: Arrays) -> str:
    return activated(graph, graph.values[layer.inputs[0]], "logistic")


CONVERTERS: Mapping[type[Layer], Callable[[Graph, Any, Arrays], str]] = {
    Local: _add_local,
    LocalAvgPool: _add_local_avgpool,
    Logistic: _add_logistic,
    MaxPool: _add_maxpool,
    Normalization: _add_normalization,
    Reorg: _add_reorg,
    Reorg3d: _add_reorg3d,
    Route: _add_route,
    Sam: _add_product,
    ScaleChannels: _add_product,
    Shortcut: _add_shortcut,
    Softmax: _add_softmax,
    Upsample: _add_upsample,
}
