"""Layers as fast engines run them: the mean of a picture is taken before a layer that may come after it.

The mean of the output of a 1 x 1 convolution is the convolution of the mean: of 14 x 14 cells only one is left to
multiply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..layers import Layer


def average_first(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """`layers`, with those that average moved before an affine layer whose output nothing else reads.

    Each keeps its index; their inputs say in which order they run. Layers that read the mean now read the affine
    layer's output, the same numbers except for rounding. The first layer stays: its input is the network's. Of several
    affine layers in a row only the last is exchanged, and none that a ``[dropout]`` follows.
    """
    readers = Counter(index for layer in layers for index in layer.inputs)
    exchanged = list(layers)
    last: dict[int, int] = {}  # the affine layer that now follows each averaging one
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
    """`layers`, each after those whose outputs it takes."""
    return sorted(layers, key=lambda layer: (max(layer.index, *layer.inputs), -layer.index))
