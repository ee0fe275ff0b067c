"""How much memory a network's weights take on the CPU, before any of it is allocated."""

from __future__ import annotations

from collections.abc import Sequence

from ...layers import Layer
from ..exchange import average_first
from .algorithms import choose

# Bytes that the kernels and libraries take besides the network: 11 MB were measured where pictures run, 29 where NumPy
# multiplies (heat maps), 40 where LLVM links the kernels.
LOADED = 32 << 20


def memory_needed(layers: Sequence[Layer], precision: str) -> int:
    """About the most bytes while weights are packed: those of earlier layers, and a layer's own, raw and packed."""
    packed = most = 0
    for layer in average_first(layers):
        raw = 4 * layer.parameter_count
        choice = next(iter(choose(layer, precision)), None)
        algorithm = None if choice is None else choice.algorithm
        kept, copies, narrowed = raw, 1, 0
        if algorithm is not None:
            kept = algorithm.packed_size(layer)
            copies += algorithm.reorders(layer)
            if algorithm.narrow:
                kept, narrowed = kept // 2, kept  # packed in float32 first; both exist at a time
        most = max(most, packed + copies * raw + kept + narrowed)
        packed += kept
    return LOADED + most
