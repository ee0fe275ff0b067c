"""What training needs to know of a network's layers as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Arrays, Layer
from .output import find_output

KEPT = 0.99  # share of a statistic that each pass keeps; the rest is the mini-batch's


def move_statistics(layer: Layer, parameters: Arrays, measured: Arrays) -> None:
    """Let a layer's statistics follow those of a mini-batch, the first values of the arrays in `measured`."""
    for name, parameter in layer.taken.items():
        if parameter.role == "statistic":
            parameters[name][...] = KEPT * parameters[name] + (1 - KEPT) * measured[name][: parameter.size]


def first_trained(layers: Sequence[Layer]) -> int:
    """The index of the first layer that training reaches: the one after the last that stops it."""
    return max((layer.index + 1 for layer in layers if layer.stops), default=0)


def rates(layers: Sequence[Layer]) -> list[float]:
    """For each layer, what the learning rate is multiplied by; at 0 its parameters stay, and its weights do not decay.

    A layer that shares the parameters of a frozen one is frozen, too: they would not follow its gradients, but their
    statistics would move.

    Source: darknet's ``network.c``, in which the layers that training does not reach still decay.
    """
    first = first_trained(layers)
    own = [layer.rate if layer.index >= first else 0 for layer in layers]
    return [rate if layer.shares is None or own[layer.shares] else 0 for layer, rate in zip(layers, own, strict=True)]


def measuring(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that compare their output with the truth; where one follows another, only the first.

    So a ``[cost]`` after a ``[softmax]`` does not double its gradient, as it does in darknet since May 2018.
    """
    measured = {layer.index for layer in layers if layer.measures}
    return [layer for layer in layers if layer.measures and not measured.intersection(layer.inputs)]


def check_trainable(layers: Sequence[Layer], batch: int) -> None:
    """Raise CfgError where the network cannot be trained, or not as its cfg says.

    Parameters
    ----------
    layers : sequence of Layer
        The network's.
    batch : int
        Images in a mini-batch.
    """
    for layer in layers:
        layer.check_trainable()
        if any(parameter.role == "statistic" for parameter in layer.taken.values()):
            _, height, width = layer.shape
            if batch * height * width < 2:
                reason = "cannot be trained: a mini-batch of 1 gives each channel one value, without a variance"
                raise layer.section.error(reason, "batch_normalize")
    measured, answering = measuring(layers), find_output(layers)
    if not measured:
        raise layers[-1].section.error("cannot be trained: a [softmax] or [cost] is expected, which measures the loss")
    for layer in measured:
        if layer.shape.size != answering.shape.size:
            reason = (
                f"compares {layer.shape.size} values with the truth, which has {answering.shape.size}, as many as layer"
                f" {answering.index}; they must agree, or this one not measure"
            )
            raise layer.section.error(reason)
    learned = zip(layers, rates(layers), strict=True)
    if not any(rate and layer.parameter_count for layer, rate in learned):
        raise layers[-1].section.error("nothing to train: all layers before it are frozen, or have no parameters")
