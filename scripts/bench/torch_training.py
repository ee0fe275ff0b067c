"""Training a network of this project in PyTorch: with the same layers, from the same first weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from darknet_py.engines.passes import SLOPES
from darknet_py.layers import Arrays, Layer
from darknet_py.layers.avgpool import AvgPool
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
from darknet_py.layers.cost import Cost
from darknet_py.layers.dropout import Dropout
from darknet_py.layers.maxpool import MaxPool
from darknet_py.layers.route import Route
from darknet_py.layers.shortcut import Shortcut
from darknet_py.layers.softmax import Softmax
from darknet_py.parameters import Parameters


class TorchTraining:
    """Forward, cross-entropy, backward, and SGD with momentum, as ours does it.

    Parameters
    ----------
    layers : sequence of Layer
    parameters : Parameters
        The first ones.
    channels_last : bool
        Whether pictures and weights are stored so.
    compiled : bool
        Whether forward, loss and backward are compiled, by the first step; this needs a C++ compiler.
    rate, momentum, decay : float
        Of the update; only weights decay.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        parameters: Parameters,
        channels_last: bool,
        compiled: bool = False,
        *,
        rate: float,
        momentum: float,
        decay: float,
    ) -> None:
        self.layers, self.channels_last = layers, channels_last
        self.measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = self._measure
        if compiled:
            self.measure = torch.compile(self._measure, dynamic=False)
        self.tensors = [
            {name: _tensor(arrays, name, channels_last) for name in arrays if name not in ("means", "variances")}
            for arrays in parameters
        ]
        weights = [tensor for tensors in self.tensors for name, tensor in tensors.items() if name == "weights"]
        others = [tensor for tensors in self.tensors for name, tensor in tensors.items() if name != "weights"]
        groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=True)

    def step(self, images: torch.Tensor, classes: torch.Tensor) -> float:
        """Run one iteration; return the loss, its mean over the images."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.measure(images, classes)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def _measure(self, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(self._forward(images), classes)

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        """The input of the softmax."""
        x = images.contiguous(memory_format=torch.channels_last) if self.channels_last else images
        values = {-1: x}
        for layer, tensors in zip(self.layers, self.tensors, strict=True):
            x = _run(layer, tensors, [values[index] for index in layer.inputs])
            values[layer.index] = x
        return x.flatten(1)


def _tensor(arrays: Arrays, name: str, channels_last: bool) -> torch.Tensor:
    tensor = torch.from_numpy(arrays[name].copy())
    if channels_last and tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor.requires_grad_()


def _run(layer: Layer, tensors: dict[str, torch.Tensor], inputs: list[torch.Tensor]) -> torch.Tensor:
    (x, *others) = inputs
    if isinstance(layer, Convolutional):
        bias = None if "scales" in tensors else tensors["biases"]
        x = functional.conv2d(x, tensors["weights"], bias, layer.stride, layer.padding, groups=layer.groups)
    elif isinstance(layer, Connected):
        bias = None if "scales" in tensors else tensors["biases"]
        x = functional.linear(x.flatten(1), tensors["weights"], bias)[:, :, None, None]
    elif isinstance(layer, MaxPool):
        before, after = layer.padding // 2, layer.padding - layer.padding // 2
        if layer.padding:
            x = functional.pad(x, (before, after, before, after), value=float("-inf"))
        x = functional.max_pool2d(x, layer.size, layer.stride)
    elif isinstance(layer, AvgPool):
        x = x.mean((2, 3), keepdim=True)
    elif isinstance(layer, Shortcut):
        x = _add(x, others[0][:, :, :: layer.stride, :: layer.stride])
    elif isinstance(layer, Route):
        x = torch.cat(inputs, 1)
    elif isinstance(layer, Dropout):
        x = functional.dropout(x, layer.probability)
    elif not isinstance(layer, (Cost, Softmax)):
        raise TypeError(f"[{layer.kind}] is not compared")
    if "scales" in tensors:
        x = functional.batch_norm(x, None, None, tensors["scales"], tensors["biases"], training=True)
    slope = SLOPES[layer.activation]
    return x if slope == 1 else functional.leaky_relu(x, slope) if slope else functional.relu(x)


def _add(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Their sum over the channels that both have."""
    shared = min(x.shape[1], other.shape[1])
    if shared == x.shape[1]:
        return x + other[:, :shared]
    return torch.cat((x[:, :shared] + other, x[:, shared:]), 1)
