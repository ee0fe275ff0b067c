"""Convolutions of few channels, such as a picture's: a tap is a row of the window, over unblocked pictures."""

from __future__ import annotations

import numpy as np

from ....layers import Array
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store
from ..builder import Table
from ..isa import BLOCK, COLUMNS, LANES, ROWS
from .base import product_cycles
from .gemm import padded_sides
from .products import Operands, by_pixels, multiply
from .weights import PackedWeights, allocate, blocks


class Pixels:
    """Products over pictures of pixels, in which the columns and channels of a window's row are adjacent."""

    narrow = halves = sums_rows = False
    plain = True
    name = "direct_pixels"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if layer.groups != 1:
            return "needs one group"
        return f"needs fewer than {LANES} channels" if layer.input_shapes[0].channels >= LANES else ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        depth = layer.size**2 * layer.input_shapes[0].channels
        return product_cycles(layer.shape.height * layer.shape.width, depth, layer.shape.channels)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        depth = layer.size**2 * layer.input_shapes[0].channels
        return depth * blocks(layer.filters) * BLOCK

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        oc, ic, size, _ = weights.shape
        packed = allocate(store, bias, oc, 1, size, size * ic)
        rows = np.zeros((blocks(oc) * LANES, size, size * ic), np.float32)
        rows[:oc] = (weights * factor.reshape(-1, 1, 1, 1)).transpose(0, 2, 3, 1).reshape(oc, size, -1)
        for panel in range(packed.panels):
            first = panel * COLUMNS * LANES
            part = rows[first : first + COLUMNS * LANES].transpose(1, 2, 0)
            data = packed.data[panel * packed.panel_stride :].view(np.float32)
            data[: part.size] = part.ravel()
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        height, width = padded_sides(layer)
        return images * height * width * layer.input_shapes[0].channels * 4

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape = operands.source_shape, operands.shape
        height, width = padded_sides(layer)
        table.add(
            o.ToPixels(
                a=operands.source,
                **operands.source_strides,
                c=operands.workspace,
                channels=source.channels,
                images=operands.images,
                height=source.height,
                width=source.width,
                padding=layer.padding,
                out_height=height,
                out_width=width,
            )
        )
        row = width * source.channels * 4
        taps = np.arange(layer.size, dtype=np.int64) * row
        pixel = layer.stride * source.channels * 4
        tiles = shape.height * -(-shape.width // ROWS)
        for image in range(operands.images):
            multiply(
                table,
                weights,
                operands,
                image,
                row_count=shape.height,
                pixels=shape.width,
                pixel=pixel,
                **by_pixels(weights, operands, tiles, weights.panels),
                a=operands.workspace + image * height * row,
                a_row=layer.stride * row,
                taps=table.keep(taps),
            )
