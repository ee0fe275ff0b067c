"""Strassen's algorithm, in Winograd's form, for 1 x 1 windows: seven products of quarters instead of eight."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, COLUMNS, LANES, MACHINE, ROWS
from .base import matrix_size, product_cycles
from .products import Operands
from .weights import PackedWeights, blocks, pack_matrix


class Strassen:
    """Strassen's algorithm, which halves the pixels, the input channels and the output channels."""

    narrow = plain = halves = sums_rows = False
    name = "strassen_1x1"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        source, shape = layer.input_shapes[0], layer.shape
        if (layer.size, layer.stride, layer.padding, layer.groups) != (1, 1, 0, 1):
            return "needs a 1 x 1 window, stride 1, no padding, one group"
        panels = 2 * COLUMNS * LANES
        if source.channels % (2 * LANES) or shape.channels % panels:
            return f"needs channels in multiples of {2 * LANES}, and of {panels} out of it"
        if shape.height * shape.width < MACHINE.strassen_pixels:
            return f"needs at least {MACHINE.strassen_pixels} pixels"
        return ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        source, shape = layer.input_shapes[0], layer.shape
        pairs = -(-shape.height * shape.width // 2)
        into, out = MACHINE.sum_cycles
        sums = pairs * (into * source.channels + out * shape.channels) / (2 * LANES)
        return sums + product_cycles(pairs, source.channels // 2, shape.channels // 2, 7)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return matrix_size(7 * layer.filters // 2, layer.input_shapes[0].channels // 2, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """The second factors of Strassen's products, the first of which are A11, A12, A22, S1, S2, S3, S4."""
        oc, ic = weights.shape[:2]
        scaled = weights.reshape(oc, ic) * factor.reshape(-1, 1)
        b11, b21 = scaled[: oc // 2, : ic // 2], scaled[: oc // 2, ic // 2 :]
        b12, b22 = scaled[oc // 2 :, : ic // 2], scaled[oc // 2 :, ic // 2 :]
        t1 = b12 - b11
        t2 = b22 - t1
        products = np.stack((b11, b21, t2 - b21, t1, t2, b22 - b12, b22))
        bias1, bias2 = bias[: oc // 2], bias[oc // 2 :]
        none = np.zeros_like(bias1)
        # Each output gets its bias once, in both halves of the pixels.
        biases = np.stack((none, bias1, -bias1, bias2, none, none, none))
        # A panel of all seven, then the next: their products are combined while they are in the L1 cache.
        panels = products.reshape(7, -1, COLUMNS * LANES, ic // 2).swapaxes(0, 1).reshape(-1, ic // 2, 1)
        ones = np.ones(len(panels), np.float32)
        return pack_matrix(table, store, panels, ones, biases.reshape(7, -1, COLUMNS * LANES).swapaxes(0, 1).ravel())

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        return threads * _divide(layer.input_shapes[0], threads).thread_bytes

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape = operands.source_shape, operands.shape
        groups, size, thread_bytes = _divide(source, operands.threads)
        offsets = np.arange(blocks(source.channels) // 2, dtype=np.int64)
        table.add(
            o.Strassen(
                a=operands.source,
                a_plane=operands.source_plane,
                images=operands.images,
                pixels=shape.height * shape.width,
                groups=groups,
                group_size=size,
                blocks=blocks(source.channels),
                out_blocks=blocks(shape.channels),
                b=address(weights.data),
                b_panel=weights.panel_stride,
                panels=blocks(shape.channels) // 2 // COLUMNS,
                taps=table.keep(offsets * operands.source_plane),
                sum_taps=table.keep(offsets * size * BLOCK),
                tiles=operands.workspace,
                products=operands.workspace + 2 * blocks(source.channels) * size * BLOCK,
                thread_bytes=thread_bytes,
                c=operands.target,
                c_plane=operands.plane,
                bias=address(weights.bias),
                residual=operands.residual,
                curve=operands.curve,
                slope=operands.slope,
                final=operands.final,
            )
        )


class _Division(NamedTuple):
    """How a picture's pairs of pixels are divided into groups, as equal as possible.

    Attributes
    ----------
    groups, size : int
        How many groups there are, and the most pairs in one.
    thread_bytes : int
        Of a group's sums and products.
    """

    groups: int
    size: int
    thread_bytes: int


def _divide(source: Shape, threads: int) -> _Division:
    """As few groups as the micro-kernel's rows allow, as many for one thread as for another."""
    pairs = -(-source.height * source.width // 2)
    groups = min(round_up(-(-pairs // ROWS), threads), pairs)
    size = -(-pairs // groups)
    return _Division(groups, size, (4 * blocks(source.channels) // 2 + 7 * COLUMNS) * size * BLOCK)
