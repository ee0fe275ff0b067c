"""Depthwise convolutions: a window for each channel, whose taps are multiplied as they lie in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....layers import Array
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, address
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from .products import Operands
from .weights import PackedWeights, allocate, blocks


@dataclass(frozen=True)
class Depthwise:
    """Blocks of channels one by one; no edges are made. The weights lie as [block][tap][LANES]."""

    narrow: bool = False
    plain: bool = False
    bends: bool = True
    name: str = "depthwise"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        alone = layer.groups == layer.filters == layer.input_shapes[0].channels
        return "" if alone else "needs a group for each channel, of one filter"

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        pixels = blocks(layer.filters) * layer.shape.height * layer.shape.width
        return pixels * (layer.size**2 + MACHINE.window_cycles)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return blocks(layer.filters) * layer.size**2 * BLOCK

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        taps = layer.size**2
        packed = allocate(store, bias, layer.filters, 1, taps, 1)
        lanes = np.zeros((blocks(layer.filters) * LANES, taps), np.float32)
        lanes[: layer.filters] = weights.reshape(layer.filters, taps) * factor[:, None]
        packed.data.view(np.float32)[:] = lanes.reshape(-1, LANES, taps).swapaxes(1, 2).ravel()
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        return 0

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape = operands.source_shape, operands.shape
        pictures = blocks(shape.channels) * operands.images
        rows = max(1, MACHINE.item_bytes // (shape.width * operands.cell))
        table.add(
            o.Depthwise(
                a=operands.source,
                c=operands.target,
                cell=operands.source_cell,
                out_cell=operands.cell,
                blocks=blocks(shape.channels),
                images=operands.images,
                height=source.height,
                width=source.width,
                size=layer.size,
                stride=layer.stride,
                padding=layer.padding,
                out_height=shape.height,
                out_width=shape.width,
                item_rows=min(rows, max(1, shape.height * pictures // MACHINE.items)),
                b=address(weights.data),
                bias=address(weights.bias),
                residual=operands.residual,
                curve=operands.curve,
                slope=operands.slope,
                final=operands.final,
            )
        )
