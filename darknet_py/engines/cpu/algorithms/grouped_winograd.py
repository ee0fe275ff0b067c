"""Winograd's algorithm for groups that fill registers: a convolution for each, or for some of them together."""

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

# Of the cycles of as large a product without groups: groups of 8 to 32 channels took 1.2 to 1.6 of these, as tiles
# of the micro-kernel have few registers, and few channels to go through.
OVERHEAD = 1.4


class GroupedWinograd(Winograd):
    """F(m x m, r x r), of stride 1, of several groups; all three steps in one."""

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
        batches, _ = divide_groups(layer)
        channels, (filters, height, width) = layer.input_shapes[0].channels, layer.shape
        return OVERHEAD * batches * self._cycles(channels // batches, Shape(filters // batches, height, width))

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        batches, _ = divide_groups(layer)
        own = matrix_size(layer.filters // batches, layer.input_shapes[0].channels // batches, 1)
        return batches * self.n**2 * own

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        batches, together = divide_groups(layer)
        out, into, positions = layer.filters // batches, together * weights.shape[1], self.n**2
        packed = allocate(store, bias, out, batches * positions, blocks(into), LANES, batches)
        for batch, own in enumerate(bundle_weights(layer, weights)):
            there = packed._replace(data=packed.data[batch * positions * packed.batch_stride :])
            self._pack(table, there, own, factor[batch * out : (batch + 1) * out])
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        batches, _ = divide_groups(layer)
        filters, height, width = layer.shape
        into = blocks(layer.input_shapes[0].channels) // batches
        return self._workspace(images, into, Shape(filters // batches, height, width), threads)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        batches, _ = divide_groups(layer)
        self._lower(table, weights, operands, [(-layer.padding, -layer.padding)], batches=batches)

    def _tile(self, images: int, into: int, shape: Shape, threads: int) -> Tiling:
        rows, columns = images * -(-shape.height // self.m), -(-shape.width // self.m)
        tile_bytes = self.n**2 * (into * cell_of(self.narrow) + blocks(shape.channels) * BLOCK)
        least = -(-rows * columns // max(1, MACHINE.fused_bytes // tile_bytes))
        groups = round_up(least, threads)  # each keeps to its part of the picture, where it has tiles for all
        if rows * columns < groups * MACHINE.fused_tiles:
            groups = least
        return Tiling(rows, columns, True, rows * columns, groups, -(-rows * columns // groups), tile_bytes)
