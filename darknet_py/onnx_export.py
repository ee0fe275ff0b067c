"""A network and its parameters -> an ONNX model.

Batch normalization is folded into the weights; layers that compute nothing add no nodes. Source of the operators'
meaning: ONNX's ``docs/Operators.md``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any

from . import export_nodes as nodes
from .engines.folding import fold
from .errors import CfgError, ExportError
from .files import write_atomically
from .layers import Array, Arrays, Layer
from .layers.activation import Activation
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
from .onnx_activations import ACTIVATIONS, activated
from .onnx_graph import Graph
from .parameters import share

if TYPE_CHECKING:
    from onnx import ModelProto


MAX_BYTES = 2**31 - 2**20  # protobuf's limit, less room for the nodes


def _add_convolutional(graph: Graph, layer: Convolutional, parameters: Arrays) -> str:
    factor, bias, after = fold(layer, parameters)
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
    x = activated(graph, _add_scale(graph, x, after, planes=True), layer.activation)
    return nodes.add_blur(graph, x, layer.blur, layer.sharp, layer.shape)


def _add_connected(graph: Graph, layer: Connected, parameters: Arrays) -> str:
    factor, bias, after = fold(layer, parameters)
    weights = graph.constant("weights", parameters["weights"] * factor[:, None])
    x = graph.add("Gemm", graph.flat(layer.inputs[0]), weights, graph.constant("biases", bias), transB=1)
    x = _add_scale(graph, x, after, planes=False)
    graph.flat_values.add(x)
    return activated(graph, x, layer.activation)


def _add_scale(graph: Graph, x: str, scale: tuple[Array, Array] | None, planes: bool) -> str:
    """`x` times each channel's factor, plus its bias; `x` itself without a `scale`."""
    if scale is None:
        return x
    factor, bias = (numbers[:, None, None] if planes else numbers for numbers in scale)
    return graph.add("Add", graph.add("Mul", x, graph.constant("factor", factor)), graph.constant("biases", bias))


def _add_batchnorm(graph: Graph, layer: BatchNorm, parameters: Arrays) -> str:
    factor, bias, after = fold(layer, parameters)
    scaled = _add_scale(graph, graph.planes(layer), (factor, bias), planes=True)
    return _add_scale(graph, scaled, after, planes=True)


def _add_activation(graph: Graph, layer: Activation, parameters: Arrays) -> str:
    # Some activations need channels along axis 1, where they are in planes, and in either form if there is one cell.
    one = layer.shape.height == layer.shape.width == 1
    return activated(graph, graph.values[layer.inputs[0]] if one else graph.planes(layer), layer.activation)


def _add_avgpool(graph: Graph, layer: AvgPool, parameters: Arrays) -> str:
    return graph.add("GlobalAveragePool", graph.planes(layer))


def _add_crop(graph: Graph, layer: Crop, parameters: Arrays) -> str:
    x = graph.add(
        "Slice",
        graph.planes(layer),
        graph.integers("starts", [layer.top, layer.left]),
        graph.integers("ends", [layer.top + layer.crop_height, layer.left + layer.crop_width]),
        graph.integers("axes", [2, 3]),
    )
    return x if layer.noadjust else graph.add("Sub", graph.scaled(x, 2), graph.constant("one", 1))


# What adds a layer's nodes to a graph and returns their output's name, by the layer's type: the second argument's.
CONVERTERS: dict[type[Layer], Callable[[Graph, Any, Arrays], str]] = {
    Activation: _add_activation,
    AvgPool: _add_avgpool,
    BatchNorm: _add_batchnorm,
    Connected: _add_connected,
    Convolutional: _add_convolutional,
    Crop: _add_crop,
    **nodes.CONVERTERS,
}
# Options of a layer that kernels do not support but its nodes do.
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


def _fits_others(network: Network, growing: Set[int]) -> bool:
    """Whether nodes made for the network's size suit others: not where it is so small that planes happen to agree, or
    that windows are larger than their pictures.
    """
    if any(nodes.overhangs(layer) for layer in network.layers if not growing.isdisjoint(layer.inputs)):
        return False
    _, height, width = network.input_shape
    try:  # an odd size and an even one
        for more in (3, 4):
            network.layers_at(2 * height + more, 2 * width + more)
    except CfgError:
        return False
    return True


def make_model(
    network: Network,
    parameters: Iterable[Arrays],
    names: Sequence[str] = (),
    preprocess: str = "",
    fixed: bool = False,
) -> ModelProto:
    """The ONNX model of `network`.

    Its input ``images`` is float32 (batch, channels, height, width) in 0..1, its output ``output0``
    (batch, outputs); any batch, and any height and width where the network can be resized, unless the cfg's are very
    small. Its metadata says how it is used (`tell_use`).

    Parameters
    ----------
    network : Network
    parameters : iterable of mapping of str to array
        Its layers' parameters.
    names : sequence of str
        Names of its classes; empty where they are not known.
    preprocess : str
        How pictures are fitted to it; where empty, as `predict` does by default.
    fixed : bool
        Whether it only takes pictures of the network's present size.

    Raises
    ------
    ExportError
        Where a layer or an activation cannot be exported, or the parameters do not fit into an ONNX file.
    """
    for layer in network.layers:
        _check_known(layer)
    size = 4 * network.parameter_count
    if size > MAX_BYTES:
        raise ExportError(f"{size / 2**30:.1f} GiB of parameters; an ONNX file holds less than 2", file=network.file)
    growing = {index for index, grows in network.growing.items() if grows}
    any_size = not fixed and network.resizable and _fits_others(network, growing)
    graph = Graph(growing if any_size else ())
    for layer, arrays in zip(network.layers, share(network.layers, parameters), strict=True):
        graph.layer = f"{layer.kind}_{layer.index}"
        add = None if layer.idle else CONVERTERS[type(layer)]
        graph.values[layer.index] = add(graph, layer, arrays) if add else graph.values[layer.inputs[0]]
    use = tell_use(network, names, preprocess or ("shorter" if any_size else "letterbox"))
    return graph.model(graph.flat(network.layers[-1].index), network.input_shape, network.outputs, use)


def tell_use(network: Network, names: Sequence[str], preprocess: str) -> dict[str, str]:
    """What those who run an exported network have to know, as metadata.

    ``dialect``, ``input`` (what its channels are), ``width`` and ``height`` of the cfg, ``preprocess`` (how pictures
    are fitted to them), ``names`` of classes as a JSON list, and for a hierarchy ``parents``: the index of each class's
    parent, or -1; a class's output is to be multiplied by those of all its parents.
    """
    channels, height, width = network.input_shape
    use = {"dialect": network.dialect.name, "input": {1: "grey in 0..1", 3: "RGB in 0..1"}.get(channels, "numbers")}
    if not network.flat:
        use.update(width=str(width), height=str(height), preprocess=preprocess)
    if names:
        use["names"] = json.dumps([*names], ensure_ascii=False, allow_nan=False)
    if network.output_layer.hierarchy is not None:
        use["parents"] = json.dumps(network.output_layer.hierarchy.parents, allow_nan=False)
    return use


def save_onnx(path: str | os.PathLike[str], model: ModelProto) -> None:
    """Write `model` as an ONNX file; nothing or all of it.

    Raises
    ------
    ExportError
        Where the file cannot be written.
    """
    write_atomically(path, [model.SerializeToString()], ExportError)
