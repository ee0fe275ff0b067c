"""A stand-in for cuDNN: computes the graphs of NVIDIA's frontend to it by NumPy, in this machine's memory."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from darknet_py.engines.cuda.cudnn import Cudnn, Plan, UnsupportedError
from darknet_py.layers.activations import ACTIVATIONS

try:
    import cudnn
except ImportError:
    cudnn = None

needs_frontend = pytest.mark.skipif(cudnn is None, reason="nvidia-cudnn-frontend is not installed")


class HostCudnn(Cudnn):
    """Computes every graph, by plans of these names; "cudnn:undone" cannot be compiled, "cudnn:broken" not executed.

    Attributes
    ----------
    refused : list of str
        The plans that it was told to give up.
    """

    def __init__(self, *names):
        shown = {name: getattr(cudnn, name) for name in ("__version__", "pygraph", "data_type")}
        super().__init__(SimpleNamespace(**shown, backend_version=lambda: 0), "host", nullcontext)
        self.able = names or ("cudnn:host",)
        self.refused = []

    def names(self, convolution):
        return self.able

    def plan(self, convolution, name):
        if name not in self.able or name == "cudnn:undone":
            raise UnsupportedError("not compiled")
        plan = Plan(None if name == "cudnn:broken" else self.graph(convolution), 0)
        return self.plans.setdefault((convolution, name), plan)

    def settle(self, convolution, refused):
        self.refused += refused

    def execute(self, launch, handle=None):
        if launch.plan.graph is None:
            raise UnsupportedError("not executed")
        values = {}
        for node in launch.plan.graph.nodes:
            operands = [
                values[tensor.uid] if tensor.is_virtual else read(tensor, launch.tensors[tensor.uid])
                for tensor in node.inputs.values()
            ]
            ((_, out),) = node.outputs.items()
            value = OPERATIONS[node.params.get("mode", "conv")](node.params, *operands)
            if out.is_virtual:
                values[out.uid] = value
            else:
                write(out, launch.tensors[out.uid], value)


def convolve(params, images, weights):
    (top, left), (down, right) = params["padding"], params["stride"]
    assert params["dilation"] == [1, 1]
    padded = np.pad(images, ((0, 0), (0, 0), (top, top), (left, left)))
    filters, channels, height, width = weights.shape
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (2, 3))[:, :, ::down, ::right]
    groups = images.shape[1] // channels
    parts = zip(np.split(windows, groups, axis=1), np.split(weights, groups), strict=True)
    sums = [np.tensordot(window, part, ((1, 4, 5), (1, 2, 3))) for window, part in parts]
    assert sum(part.shape[-1] for part in sums) == filters
    return np.concatenate(sums, axis=-1).transpose(0, 3, 1, 2)


OPERATIONS = {
    "conv": convolve,
    "bias": lambda params, x, biases: x + biases,
    "add": lambda params, x, y: x + y,
    "mul": lambda params, x, y: x * y,
    "sigmoid": lambda params, x: ACTIVATIONS["logistic"].function(x),
    "softplus": lambda params, x: np.logaddexp(x, np.float32(0)),
    "swish": lambda params, x: ACTIVATIONS["swish"].function(x),
    "tanh": lambda params, x: np.tanh(x),
    "relu": lambda params, x: np.where(x > 0, x, np.float32(params["negative_slope"]) * x),
}


def numbers(tensor, address):
    """The memory of a tensor, as its dimensions and strides say; of bfloat16 the bits."""
    kinds = {"FLOAT": np.float32, "HALF": np.float16, "BFLOAT16": np.uint16}
    kind = np.dtype(kinds[tensor.data_type.name])
    extent = 1 + sum((count - 1) * stride for count, stride in zip(tensor.dim, tensor.stride, strict=True))
    memory = np.frombuffer((ctypes.c_uint8 * (extent * kind.itemsize)).from_address(address), kind)
    strides = [stride * kind.itemsize for stride in tensor.stride]
    return np.lib.stride_tricks.as_strided(memory, tensor.dim, strides)


def read(tensor, address):
    found = numbers(tensor, address)
    if found.dtype == np.uint16:
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found.astype(np.float32)


def write(tensor, address, value):
    target = numbers(tensor, address)
    if target.dtype == np.uint16:
        bits = np.ascontiguousarray(value, np.float32).view(np.uint32)
        value = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    assert target.shape == value.shape
    target[...] = value
