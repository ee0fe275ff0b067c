"""Layers as fast engines run them: the mean of a picture is taken before a layer that may come after it.

A 1 x 1 convolution of every cell, then the mean of what it gives, is the convolution of the mean: of 14 x 14 cells one
is left to multiply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..layers import Layer


def average_first(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """`layers`, of which those that average come before an affine one that nothing else reads.

    Each keeps its index; their inputs say in which order they run. What read the mean reads the affine layer's output,
    the same numbers but for rounding. The first layer stays: its input is the network's. Of several affine layers in a
    row the last alone is exchanged, and none before a ``[dropout]``.
    """
    readers = Counter(index for layer in layers for index in layer.inputs)
    exchanged = list(layers)
    last: dict[int, int] = {}  # the affine layer behind each one that averages
    for layer in layers:
        before = layer.inputs[0]
        if layer.averages and before > 0 and layers[before].affine and readers[before] == 1:
            exchanged[layer.index] = layer.moved(exchanged[before].inputs, exchanged[before].input_shapes)
            exchanged[before] = layers[before].moved((layer.index,), (exchanged[layer.index].shape,))
            last[layer.index] = before
        elif last.keys() & set(layer.inputs):
            exchanged[layer.index] = layer.moved(tuple(last.get(i, i) for i in layer.inputs), layer.input_shapes)
    return tuple(exchanged)


def running_order(layers: Sequence[Layer]) -> list[Layer]:
    """Each of them behind those whose outputs it takes."""
    return sorted(layers, key=lambda layer: (max(layer.index, *layer.inputs), -layer.index))
