"""A network and its parameters -> an ONNX model.

Batch normalization goes into the weights; layers that compute nothing leave nothing. Source of the operators' meaning:
ONNX's ``docs/Operators.md``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import export_nodes as nodes
from .engines.passes import fold
from .errors import ExportError
from .files import write_atomically
from .layers import Array, Arrays, Layer
from .layers.activation import Activation
from .layers.activations import SELU_ALPHA, SELU_SCALE
from .layers.avgpool import AvgPool
from .layers.batchnorm import BatchNorm
from .layers.connected import Connected
from .layers.convolutional import Convolutional
from .layers.crop import Crop
from .layers.maxpool import MaxPool
from .layers.route import Route
from .layers.shortcut import Shortcut
from .layers.softmax import Softmax
from .network import Network
from .parameters import share
from .version import __version__

try:
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError as reason:
    raise ExportError(f"the package onnx is missing ({reason}); pip install onnx") from None

INPUT, OUTPUT = "images", "output0"
# Old enough for every runtime, new enough for all that is written here.
OPSET, IR_VERSION = 17, 8
MAX_BYTES = 2**31 - 2**20  # protobuf's limit, less room for the nodes


class _Graph:
    """Nodes and constants in the order in which layers add them.

    A layer's output lies in one of two forms: planes (batch, channels, height, width) or flat (batch, size).

    Attributes
    ----------
    values : dict of int to str
        For each layer so far, and -1 for the network's input, the name of its output.
    flat_values : set of str
        Those that are flat.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.values = {-1: INPUT}
        self.flat_values: set[str] = set()
        self.layer = ""
        self._names: Counter[str] = Counter()

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = self._name(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant; its name."""
        name = self._name(name)
        self.constants.append(
            numpy_helper.from_array(np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name)
        )
        return name

    def padded(self, x: str, name: str, after: Sequence[int]) -> str:
        """`x` with zeros after its last cells, axis by axis."""
        pads = self.integers(name, [0] * len(after) + [*after])
        return self.add("Pad", x, pads, mode="constant")  # the default, but pnnx wants it said

    def split(self, x: str, sizes: str, count: int, axis: int) -> list[str]:
        """`x` in `count` parts of the constant `sizes`."""
        names = [self._name("Split") for _ in range(count)]
        self.nodes.append(helper.make_node("Split", [x, sizes], names, names[0], axis=axis))
        return names

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a constant of integers: positions or lengths."""
        return self.constant(name, values, np.int64)

    def planes(self, layer: Layer, which: int = 0) -> str:
        """An input of `layer` as planes."""
        value = self.values[layer.inputs[which]]
        if value not in self.flat_values:
            return value
        return self.add("Reshape", value, self.integers("shape", [0, *layer.input_shapes[which]]))

    def flat(self, index: int) -> str:
        """The output of layer `index`, flat."""
        value = self.values[index]
        if value not in self.flat_values:
            value = self.add("Flatten", value)
            self.flat_values.add(value)
        return value

    def scaled(self, x: str, factor: float) -> str:
        """`x` times a number."""
        return x if factor == 1 else self.add("Mul", x, self.constant("factor", factor))

    def activated(self, x: str, activation: str) -> str:
        """`x` through an activation; in the form that it has."""
        y = ACTIVATIONS[activation](self, x)
        if x in self.flat_values:
            self.flat_values.add(y)
        return y

    def rename(self, old: str, new: str) -> None:
        """Give a value another name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]

    def _name(self, part: str) -> str:
        name = f"{self.layer}/{part}"
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"


def _simple(operator: str, **attributes: float) -> Callable[[_Graph, str], str]:
    return lambda graph, x: graph.add(operator, x, **attributes)


def _clipped(graph: _Graph, x: str, low: float, high: float) -> str:
    return graph.add("Clip", x, graph.constant("low", low), graph.constant("high", high))


def _bent(low: float, high: float, slope: float, outside: float, offset: float) -> Callable[[_Graph, str], str]:
    """slope * x + offset between `low` and `high`, then on with the slope `outside`."""

    def add(graph: _Graph, x: str) -> str:
        inside = _clipped(graph, x, low, high)
        rest = graph.scaled(graph.add("Sub", x, inside), outside)
        y = graph.add("Add", graph.scaled(inside, slope), rest)
        return graph.add("Add", y, graph.constant("offset", offset)) if offset else y

    return add


def _stair(graph: _Graph, x: str) -> str:
    """Flat between even and odd numbers, rising between odd and even ones."""
    floor = graph.add("Floor", x)
    half = graph.add("Floor", graph.scaled(x, 0.5))
    odd = graph.add("Sub", floor, graph.scaled(half, 2))
    return graph.add("Add", half, graph.add("Mul", graph.add("Sub", x, floor), odd))


ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "linear": lambda graph, x: x,
    "leaky": _simple("LeakyRelu", alpha=0.1),
    "relu": _simple("Relu"),
    "logistic": _simple("Sigmoid"),
    "loggy": lambda graph, x: graph.add("Tanh", graph.scaled(x, 0.5)),  # 2 / (1 + exp(-x)) - 1 = tanh(x / 2)
    "elu": _simple("Elu", alpha=1.0),
    "selu": _simple("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "relie": _simple("LeakyRelu", alpha=0.01),
    "ramp": lambda graph, x: graph.add("Add", graph.add("Relu", x), graph.scaled(x, 0.1)),
    "tanh": _simple("Tanh"),
    "plse": _bent(-4, 4, 0.125, 0.01, 0.5),
    "lhtan": _bent(0, 1, 1, 0.001, 0),
    "hardtan": lambda graph, x: _clipped(graph, x, -1, 1),
    "stair": _stair,
}


def _add_convolutional(graph: _Graph, layer: Convolutional, parameters: Arrays) -> str:
    factor, bias, after = fold(parameters)
    (above, below), (left, right) = layer.edges
    x = graph.add(
        "Conv",
        nodes.add_signs(graph, graph.planes(layer)) if layer.xnor else graph.planes(layer),
        graph.constant("weights", layer.multipliers(parameters) * factor[:, None, None, None]),
        graph.constant("biases", bias),
        kernel_shape=[layer.size] * 2,
        strides=layer.windows.strides,
        dilations=[layer.dilation] * 2,
        pads=[above, left, below, right],
        group=layer.groups,
    )
    x = graph.activated(_add_scale(graph, x, after, planes=True), layer.activation)
    return nodes.add_blur(graph, x, layer.blur, layer.sharp, layer.shape)


def _add_connected(graph: _Graph, layer: Connected, parameters: Arrays) -> str:
    factor, bias, after = fold(parameters)
    weights = graph.constant("weights", parameters["weights"] * factor[:, None])
    x = graph.add("Gemm", graph.flat(layer.inputs[0]), weights, graph.constant("biases", bias), transB=1)
    x = _add_scale(graph, x, after, planes=False)
    graph.flat_values.add(x)
    return graph.activated(x, layer.activation)


def _add_scale(graph: _Graph, x: str, scale: tuple[Array, Array] | None, planes: bool) -> str:
    """`x` times the first number of each channel, plus the second, where there are any."""
    if scale is None:
        return x
    factor, bias = (numbers[:, None, None] if planes else numbers for numbers in scale)
    return graph.add("Add", graph.add("Mul", x, graph.constant("factor", factor)), graph.constant("biases", bias))


def _add_batchnorm(graph: _Graph, layer: BatchNorm, parameters: Arrays) -> str:
    factor, bias, after = fold(parameters)
    scaled = _add_scale(graph, graph.planes(layer), (factor, bias), planes=True)
    return _add_scale(graph, scaled, after, planes=True)


def _add_activation(graph: _Graph, layer: Activation, parameters: Arrays) -> str:
    return graph.activated(graph.values[layer.inputs[0]], layer.activation)


def _add_avgpool(graph: _Graph, layer: AvgPool, parameters: Arrays) -> str:
    return graph.add("GlobalAveragePool", graph.planes(layer))


def _add_crop(graph: _Graph, layer: Crop, parameters: Arrays) -> str:
    x = graph.add(
        "Slice",
        graph.planes(layer),
        graph.integers("starts", [layer.top, layer.left]),
        graph.integers("ends", [layer.top + layer.crop_height, layer.left + layer.crop_width]),
        graph.integers("axes", [2, 3]),
    )
    return x if layer.noadjust else graph.add("Sub", graph.scaled(x, 2), graph.constant("one", 1))


# What adds a layer's nodes to a graph and names their output, by the layer's type: that of the second argument.
CONVERTERS: dict[type[Layer], Callable[[_Graph, Any, Arrays], str]] = {
    Activation: _add_activation,
    AvgPool: _add_avgpool,
    BatchNorm: _add_batchnorm,
    Connected: _add_connected,
    Convolutional: _add_convolutional,
    Crop: _add_crop,
    **nodes.CONVERTERS,
}
# Of a layer's options beyond what kernels know, those that its nodes do know.
EXTRAS: dict[type[Layer], Collection[str]] = {
    Convolutional: ("stride_x", "stride_y", "dilation", "antialiasing", "xnor"),
    MaxPool: ("stride_x", "stride_y", "maxpool_depth", "antialiasing"),
    Route: ("groups", "group_id"),
    Shortcut: ("weights_type",),
    Softmax: ("tree",),
}


def _check_known(layer: Layer) -> None:
    """Raise ExportError where a layer, or its activation, has no nodes."""
    if type(layer) not in CONVERTERS and not layer.idle:
        option, known = f"[{layer.kind}]", [kind.kind for kind in CONVERTERS]
    elif set(layer.extras_used) - set(EXTRAS.get(type(layer), ())):
        option, known = f"[{layer.kind}] {layer.special}", [*EXTRAS.get(type(layer), ())]
    elif layer.activation not in ACTIVATIONS:
        option, known = f"[{layer.kind}] activation={layer.activation}", [*ACTIVATIONS]
    else:
        return
    reason = f"cannot be exported; known are {', '.join(known)}"
    raise ExportError(reason, file=layer.section.file, line=layer.section.line, option=option)


def make_model(network: Network, parameters: Iterable[Arrays]) -> ModelProto:
    """The ONNX model of `network` at its present size.

    Its input ``images`` is float32 (batch, channels, height, width) in 0..1, its output ``output0``
    (batch, outputs); any batch.

    Raises
    ------
    ExportError
        Where a layer or an activation is not known here, or the parameters do not fit into an ONNX file.
    """
    for layer in network.layers:
        _check_known(layer)
    size = 4 * network.parameter_count
    if size > MAX_BYTES:
        raise ExportError(f"{size / 2**30:.1f} GiB of parameters; an ONNX file holds less than 2", file=network.file)
    graph = _Graph()
    for layer, arrays in zip(network.layers, share(network.layers, parameters), strict=True):
        graph.layer = f"{layer.kind}_{layer.index}"
        add = None if layer.idle else CONVERTERS[type(layer)]
        graph.values[layer.index] = add(graph, layer, arrays) if add else graph.values[layer.inputs[0]]
    graph.rename(graph.flat(network.layers[-1].index), OUTPUT)
    images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *network.input_shape])
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", network.outputs])
    return helper.make_model(
        helper.make_graph(graph.nodes, "darknet", [images], [output], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="darknet_py",
        producer_version=__version__,
    )


def save_onnx(path: str | os.PathLike[str], network: Network, parameters: Iterable[Arrays]) -> None:
    """Write `network` with `parameters` as an ONNX file, as `make_model`; nothing or all of it.

    Raises
    ------
    ExportError
        As `make_model`, or where the file cannot be written.
    """
    write_atomically(path, [make_model(network, parameters).SerializeToString()], ExportError)
