"""How much memory a network's kernels take on the CPU, told before any of it is allocated."""

from __future__ import annotations

from collections.abc import Sequence

from ...layers import Layer
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from .arena import round_up
from .isa import BLOCK, LANES, UNROLL
from .kernels import blocks
from .select import Choice, bundle, choose

# Bytes that LLVM and the compiled kernels take, beside the network, once they are loaded: 40 MB were measured.
LOADED = 40 << 20


def memory_needed(layers: Sequence[Layer], precision: str) -> int:
    """Bytes at most, while kernels are packed: those of the layers before, and a layer's own, raw and packed."""
    packed = most = 0
    for layer in layers:
        raw = size = 4 * layer.parameter_count
        narrow, copies = precision == "bfloat16", 1
        if isinstance(layer, Convolutional):
            choice = choose(layer, precision)[0]
            # Some kernels are put into another order before they are packed.
            size, narrow, copies = _packed_size(layer, choice), choice.narrow, 2
        elif isinstance(layer, Connected):
            source = layer.input_shapes[0]
            size = _matrix(layer.output, source.channels, source.height * source.width)
        kept = size // 2 if narrow else size
        most = max(most, packed + copies * raw + size + (kept if narrow else 0))
        packed += kept
    return LOADED + most


def _packed_size(layer: Convolutional, choice: Choice) -> int:
    into, out, size = layer.input_shapes[0].channels, layer.filters, layer.size
    if choice.tile:
        phases = 1 if size == choice.side else layer.stride**2
        return (choice.tile + choice.side - 1) ** 2 * _matrix(out, phases * into, 1)
    if choice.name == "strassen_1x1":
        return _matrix(7 * out // 2, into // 2, 1)
    if choice.name == "direct_pixels":
        return size * round_up(size * into, UNROLL) * blocks(out) * BLOCK
    together = bundle(layer)
    if choice.name == "definition" or together is None:
        return 4 * layer.parameter_count
    batches = layer.groups // together
    return batches * _matrix(out // batches, into // batches, size**2)


def _matrix(out_channels: int, channels: int, taps: int) -> int:
    """Bytes of kernels in panels of whole blocks of channels."""
    return blocks(out_channels) * BLOCK * blocks(channels) * LANES * taps
