"""Connected layers: a window as large as the picture, with images in place of pixels."""

from __future__ import annotations

import numpy as np

from ....layers import Array
from ....layers.connected import Connected
from .. import operations as o
from ..arena import Store
from ..builder import Table
from ..isa import BLOCK
from .base import matrix_size, product_cycles
from .products import Operands, multiply
from .weights import PackedWeights, blocks, pack_matrix


class MatrixProduct:
    """The product of the pictures, each of them a row, and the matrix of weights."""

    plain = halves = sums_rows = False
    name = "connected"

    def __init__(self, narrow: bool = False) -> None:
        self.narrow = narrow

    def declines(self, layer: Connected) -> str:
        """See `Algorithm`: it never does."""
        return ""

    def cycles(self, layer: Connected) -> float:
        """See `Algorithm`."""
        return product_cycles(1, layer.input_shapes[0].size, layer.output, 1, self.narrow)

    def reorders(self, layer: Connected) -> bool:
        """See `Algorithm`."""
        return False

    def packed_size(self, layer: Connected) -> int:
        """See `Algorithm`."""
        source = layer.input_shapes[0]
        return matrix_size(layer.output, source.channels, source.height * source.width)

    def pack(
        self, table: Table, store: Store, layer: Connected, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        by_cell = weights.reshape(layer.output, layer.input_shapes[0].channels, -1)
        return pack_matrix(table, store, by_cell, factor, bias)

    def workspace(self, layer: Connected, images: int, threads: int) -> int:
        """See `Algorithm`."""
        source = layer.input_shapes[0]
        return images * blocks(source.channels) * source.height * source.width * BLOCK

    def lower(self, table: Table, layer: Connected, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        multiply_images(table, weights, operands)


def multiply_images(table: Table, weights: PackedWeights, operands: Operands) -> None:
    """Add the operations of a product of `operands.images` rows."""
    start, cells = operands.source, operands.source_shape.height * operands.source_shape.width
    if cells > 1 and operands.images > 1:
        start = operands.workspace
        channels = blocks(operands.source_shape.channels)
        table.add(
            o.Flatten(
                a=operands.source,
                c=start,
                cell=operands.source_cell,
                blocks=channels,
                cells=cells,
                images=operands.images,
            )
        )
    taps = np.arange(weights.taps, dtype=np.int64) * operands.images * weights.cell
    multiply(
        table, weights, operands, pixels=operands.images, pixel=weights.cell, chunk=1, a=start, taps=table.keep(taps)
    )
