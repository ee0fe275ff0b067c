"""Winograd's algorithm for groups that fill registers: one convolution for each group, or for several together."""

from __future__ import annotations

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from ..arena import Store, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from .base import cell_of, matrix_size
from .gemm import bundle, bundle_weights, divide_groups
from .products import Operands
from .weights import PackedWeights, allocate, blocks
from .winograd import Tiling, Winograd

# What the cycles of an equally large convolution without groups are multiplied by: groups of 8 to 32 channels took 1.1
# to 1.9 times as many, relative to other algorithms, as the micro-kernel's tiles have few registers and few channels.
OVERHEAD = 1.4


class GroupedWinograd(Winograd):
    """F(m x m, r x r), stride 1, for several groups, with all three steps fused."""

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"grouped_{super().name}"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if (layer.size, layer.stride) != (self.r, 1) or layer.groups == 1:
            return f"needs a {self.r} x {self.r} window, stride 1, several groups"
        if bundle(layer) is None:
            return f"needs groups that make up whole blocks of {LANES} channels"
        return self._imprecise

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        batches, channels, shape = _divide(layer)
        return OVERHEAD * batches * self._cycles(channels, shape)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        batches, channels, shape = _divide(layer)
        return batches * self.n**2 * matrix_size(shape.channels, channels, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        batches, channels, (out, _, _) = _divide(layer)
        positions = self.n**2
        packed = allocate(store, bias, out, batches * positions, blocks(channels), LANES, batches)
        for batch, own in enumerate(bundle_weights(layer, weights)):
            there = packed._replace(data=packed.data[batch * positions * packed.batch_stride :])
            self._pack(table, there, own, factor[batch * out : (batch + 1) * out])
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        _, channels, shape = _divide(layer)
        return self._workspace(images, blocks(channels), shape, threads)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        batches, _, _ = _divide(layer)
        self._lower(table, weights, operands, [(-layer.padding, -layer.padding)], batches=batches)

    def _tile(self, images: int, into: int, shape: Shape, threads: int) -> Tiling:
        rows, columns = images * -(-shape.height // self.m), -(-shape.width // self.m)
        tile_bytes = self.n**2 * (into * cell_of(self.narrow) + blocks(shape.channels) * BLOCK)
        least = -(-rows * columns // max(1, MACHINE.fused_bytes // tile_bytes))
        groups = round_up(least, threads)  # each thread keeps to its part, if there are tiles for all
        if rows * columns < groups * MACHINE.fused_tiles:
            groups = least
        return Tiling(rows, columns, True, rows * columns, groups, -(-rows * columns // groups), tile_bytes)


def _divide(layer: Convolutional) -> tuple[int, int, Shape]:
    """How many convolutions compute a layer, how many channels each of them reads, and the shape of its output."""
    batches, _ = divide_groups(layer)
    filters, height, width = layer.shape
    return batches, layer.input_shapes[0].channels // batches, Shape(filters // batches, height, width)
