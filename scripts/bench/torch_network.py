"""An ONNX file that this project wrote, as a PyTorch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

Attributes = dict[str, Any]


class TorchNetwork(torch.nn.Module):
    """Runs the operators of the file in order; each value is freed after its last use."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        self.constants = {tensor.name: _constant(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
        self.input, self.output = graph.input[0].name, graph.output[0].name
        nodes = _fuse_curves(graph.node)
        last = {name: number for number, node in enumerate(nodes) for name in node.input}
        self.steps = [
            (
                OPERATORS[node.op_type],
                {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
                list(node.input),
                node.output[0],
                [name for name in set(node.input) - self.constants.keys() if last[name] == number],
            )
            for number, node in enumerate(nodes)
        ]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs (n, outputs) for `images` (n, channels, height, width)."""
        values = {**self.constants, self.input: images}
        for operator, attributes, inputs, output, unused in self.steps:
            values[output] = operator([values[name] for name in inputs], attributes)
            for name in unused:
                del values[name]
        return values[self.output]


def _fuse_curves(nodes: Sequence[Any]) -> list[Any]:
    """The `nodes`, with activations that consist of several made one, as somebody would write them in PyTorch."""
    made = {node.output[0]: node for node in nodes}
    fused: list[Any] = []
    gone = set()
    for node in nodes:
        if node.op_type == "Mul":
            x, curve = node.input
            chain = []
            while curve in made and curve != x:
                chain.append(made[curve])
                curve = made[curve].input[0]
            kind = CURVES.get(tuple(link.op_type for link in chain)) if curve == x else None
            if kind is not None:
                gone |= {link.output[0] for link in chain}
                node = helper.make_node(kind, [x], node.output)
        fused.append(node)
    return [node for node in fused if node.output[0] not in gone]


def _constant(array: Any) -> Any:
    """A tensor, with channels last where it has four dimensions; of integers, which are positions, a list."""
    if array.dtype.kind == "i":
        return array.tolist()
    tensor = torch.from_numpy(array.copy())
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _convolve(inputs: list[Any], attributes: Attributes) -> torch.Tensor:
    x, weights, biases = inputs
    strides, padding = attributes["strides"], attributes["pads"][:2]
    return functional.conv2d(x, weights, biases, strides, padding, groups=attributes["group"])


def _pool(inputs: list[Any], attributes: Attributes) -> torch.Tensor:
    (x,) = inputs
    size, stride = attributes["kernel_shape"][0], attributes["strides"][0]
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    wanted = [(d + pads - size) // stride for d, pads in zip(x.shape[2:], (top + bottom, left + right), strict=True)]
    for ceil in (False, True):
        room = [d + 2 * top - size + ceil * (stride - 1) for d in x.shape[2:]]
        if [d // stride for d in room] == wanted:
            return functional.max_pool2d(x, size, stride, top, ceil_mode=ceil)
    padded = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(padded, size, stride)


def _slice(inputs: list[Any], attributes: Attributes) -> torch.Tensor:
    x, starts, ends, axes = inputs
    index = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes, strict=True):
        index[axis] = slice(start, end)
    return x[tuple(index)]


def _pad(inputs: list[Any], attributes: Attributes) -> torch.Tensor:
    x, pads = inputs
    before, after = pads[: x.ndim], pads[x.ndim :]
    # PyTorch counts from the last axis.
    return functional.pad(x, [n for pair in zip(before[::-1], after[::-1], strict=True) for n in pair])


def _reshape(inputs: list[Any], attributes: Attributes) -> torch.Tensor:
    x, shape = inputs
    return x.reshape([d or x.shape[axis] for axis, d in enumerate(shape)])


# The name of an activation x * f(x), by the operators that compute f, the last one first.
CURVES = {("Sigmoid",): "Silu", ("Tanh", "Softplus"): "Mish"}
# Activations work in place: their input is a convolution's or an addition's output, which nothing else reads.
OPERATORS: dict[str, Callable[[list[Any], Attributes], torch.Tensor]] = {
    "Add": lambda inputs, attributes: inputs[0] + inputs[1],
    "Concat": lambda inputs, attributes: torch.cat(inputs, attributes["axis"]),
    "Conv": _convolve,
    "Flatten": lambda inputs, attributes: inputs[0].flatten(1),
    "Gemm": lambda inputs, attributes: functional.linear(*inputs),
    "GlobalAveragePool": lambda inputs, attributes: functional.adaptive_avg_pool2d(inputs[0], 1),
    "LeakyRelu": lambda inputs, attributes: functional.leaky_relu(inputs[0], attributes["alpha"], inplace=True),
    "MaxPool": _pool,
    "Mish": lambda inputs, attributes: functional.mish(inputs[0], inplace=True),
    "Mul": lambda inputs, attributes: inputs[0] * inputs[1],
    "Pad": _pad,
    "Relu": lambda inputs, attributes: functional.relu(inputs[0], inplace=True),
    "Reshape": _reshape,
    "Sigmoid": lambda inputs, attributes: torch.sigmoid(inputs[0]),
    "Silu": lambda inputs, attributes: functional.silu(inputs[0], inplace=True),
    "Slice": _slice,
    "Softmax": lambda inputs, attributes: functional.softmax(inputs[0], attributes["axis"]),
    "Sub": lambda inputs, attributes: inputs[0] - inputs[1],
}
