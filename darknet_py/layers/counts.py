"""About how many float32 values the definitions of a network's layers take for a picture."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Layer
from .windows import Windows


def count_kept(layer: Layer) -> int:
    """How many values, apart from its inputs, the definition of a layer keeps for its backward pass, at most."""
    return layer.shape.size * (1 + any(parameter.role == "statistic" for parameter in layer.taken.values()))


def count_working(layer: Layer) -> int:
    """How many more its definition takes, forward or backward, at most: windows and temporary values.

    Windows are put side by side, and so are their gradients in the backward pass.
    """
    return 2 * _count_taps(layer) + 6 * layer.shape.size + sum(shape.size for shape in layer.input_shapes)


def count_forward(layers: Sequence[Layer]) -> int:
    """How many `layers`, a network's first ones, take if each output is kept until nothing needs it."""
    last_use = {source: layer.index for layer in layers for source in layer.inputs}
    live, most = {-1: layers[0].input_shapes[0].size}, 0
    for layer in layers:
        before, taps = sum(live.values()), _count_taps(layer)
        # Windows are copied twice, with the input's edges; one copy is left when there are outputs.
        windows = 2 * taps + sum(shape.size for shape in layer.input_shapes)
        most = max(most, before + max(windows, taps + 3 * layer.shape.size))
        live[layer.index] = layer.shape.size
        for source in set(layer.inputs):
            if last_use[source] == layer.index:
                del live[source]
    return most


def count_backward(layers: Sequence[Layer]) -> int:
    """How many `layers` take, forward and backward: outputs, their deltas, and what is kept."""
    kept = sum(2 * layer.shape.size + count_kept(layer) for layer in layers)
    return kept + max(map(count_working, layers), default=0)


def _count_taps(layer: Layer) -> int:
    """How many values all windows hold together."""
    windows, (_, height, width) = getattr(layer, "windows", None), getattr(layer, "sharp", layer.shape)
    return windows.size**2 * height * width * layer.input_shapes[0].channels if isinstance(windows, Windows) else 0
