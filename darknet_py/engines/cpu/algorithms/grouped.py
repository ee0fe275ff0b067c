"""Convolutions in small groups, such as depthwise ones: taps are multiplied one after another."""

from __future__ import annotations

from math import gcd

import numpy as np

from ....layers import Array
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from .products import Operands
from .weights import PackedWeights, allocate, blocks

# Rows per thread from which on each keeps to its part of the picture, whose pixels it wrote itself: on two cores with
# no common cache layers of 14 rows took 0.9 of the time; those of 7 took 1.2, as most rows are read by both.
OWN_ROWS = 6
# The share of windows within the picture from which on it is not copied, with padding, for the sake of the others. With
# a copy 5 x 5 windows took 0.62 of the time at 7 x 7 and 0.77 at 14 x 14; 3 x 3 ones 0.75, 0.9, and 1.25 at 28 x 28.
# With a stride of 2 four times as many pixels are copied for each window: the share must be smaller.
WHOLE = 0.8


class Grouped:
    """Blocks of whole groups, one by one. The weights are stored as [block][tap][channel of a group][LANES].

    For groups of 4 and 8 channels they are multiplied by copies of a channel in all lanes of its group, one more
    operation for each product. As products of whole blocks, where most weights are zeros, 128 channels in groups of 4
    took 0.85 ms on two cores at 64 x 64, instead of 0.21.
    """

    narrow = plain = halves = False
    sums_rows = True

    def __init__(self, group: int) -> None:
        self.group = group

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return "depthwise" if self.group == 1 else f"grouped_{self.group}"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        sides = layer.input_shapes[0].channels // layer.groups, layer.filters // layer.groups
        return "" if sides == (self.group, self.group) else f"needs groups of {self.group}, of as many filters"

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        pixels = blocks(layer.filters) * layer.shape.height * layer.shape.width
        products = self.group * (1 if self.group == 1 else MACHINE.spread_cycles)
        return pixels * (layer.size**2 * products + MACHINE.window_cycles)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return blocks(layer.filters) * layer.size**2 * self.group * BLOCK

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        taps = layer.size**2
        packed = allocate(store, bias, layer.filters, 1, taps, self.group)
        lanes = np.zeros((blocks(layer.filters) * LANES, self.group, taps), np.float32)
        lanes[: layer.filters] = weights.reshape(layer.filters, self.group, taps) * factor[:, None, None]
        packed.data.view(np.float32)[:] = lanes.reshape(-1, LANES, self.group, taps).transpose(0, 3, 2, 1).ravel()
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        return _row_sums(layer, images) + threads * self._divide(layer, images, threads)[1]

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape = operands.source_shape, operands.shape
        rows, padded_bytes = self._divide(layer, operands.images, operands.threads)
        table.add(
            o.Grouped(
                a=operands.source,
                c=operands.target,
                cell=operands.source_cell,
                out_cell=operands.cell,
                blocks=blocks(shape.channels),
                images=operands.images,
                height=source.height,
                width=source.width,
                group_channels=self.group,
                size=layer.size,
                stride=layer.stride,
                padding=layer.padding,
                out_height=shape.height,
                out_width=shape.width,
                item_rows=rows,
                padded=operands.workspace + _row_sums(layer, operands.images) if padded_bytes else 0,
                thread_bytes=padded_bytes,
                row_sums=operands.workspace if operands.averaged else 0,
                b=address(weights.data),
                bias=address(weights.bias),
                residual=operands.residual,
                curve=operands.curve,
                slope=operands.slope,
                final=operands.final,
            )
        )

    def _divide(self, layer: Convolutional, images: int, threads: int) -> tuple[int, int]:
        """The rows of output in an item, and the bytes of its padded pixels; 0 where these are not copied."""
        shape, size, stride = layer.shape, layer.size, layer.stride
        pictures = blocks(shape.channels) * images
        rows = min(MACHINE.item_bytes // (shape.width * BLOCK), shape.height * pictures // MACHINE.items)
        bands = -(-shape.height // max(1, rows))
        shares = threads // gcd(threads, images)
        if shape.height >= OWN_ROWS * shares:
            bands = round_up(bands, shares)
        rows = -(-shape.height // bands)
        height, width = ((side - 1) * stride + size for side in shape[1:])
        # Whatever the bands: they depend on the size of the batch, and pictures give the same bits in any.
        copied = height * width * BLOCK <= MACHINE.padded_bytes and _whole_share(layer) < WHOLE**stride
        return rows, ((rows - 1) * stride + size) * width * BLOCK if copied else 0


def _row_sums(layer: Convolutional, images: int) -> int:
    """Bytes of the sums of each row of output."""
    return blocks(layer.filters) * images * layer.shape.height * BLOCK


def _whole_share(layer: Convolutional) -> float:
    """The share of a layer's windows that lie within its pictures."""
    share = 1.0
    for side, count in zip(layer.input_shapes[0][1:], layer.shape[1:], strict=True):
        first = -(-layer.padding // layer.stride)
        share *= max(0, min(count, (side + layer.padding - layer.size) // layer.stride + 1) - first) / count
    return share
