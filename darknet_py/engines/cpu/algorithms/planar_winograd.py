"""Winograd's algorithm for few channels, such as a picture's, plane by plane."""

from __future__ import annotations

import numpy as np

from ....layers import Array
from ....layers.convolutional import Convolutional
from .. import operations as o
from .. import table as t
from ..arena import Store, address
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from ..toom import PLANAR, weight_matrix
from .products import Operands
from .weights import PackedWeights, allocate, blocks

M, R, N = PLANAR.m, PLANAR.r, PLANAR.n


class PlanarWinograd:
    """F(m x m, r x r), stride 1, with tiles in the lanes of registers, not channels."""

    narrow = sums_rows = False
    plain = halves = True
    name = f"planar_wino_{M}x{M}_{R}x{R}"
    m, n = M, N

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if (layer.size, layer.stride, layer.groups) != (R, 1, 1):
            return f"needs a {R} x {R} window, stride 1, one group"
        return f"needs fewer than {LANES} channels" if layer.input_shapes[0].channels >= LANES else ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        into, out = MACHINE.planar_cycles
        channels, (rows, columns) = layer.input_shapes[0].channels, _count_tiles(layer)
        products = columns * blocks(layer.filters) * (out + N**2 * channels)
        return rows * (-(-columns // LANES) * channels * into + products)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return blocks(layer.filters) * N**2 * layer.input_shapes[0].channels * BLOCK

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`: [block][column][channel][row][LANES]."""
        oc, ic = weights.shape[:2]
        packed, g = allocate(store, bias, oc, 1, N**2, ic), np.array(weight_matrix(N, R))
        tiles = np.zeros((blocks(oc) * LANES, ic, N, N), np.float32)
        tiles[:oc] = g @ (weights * factor.reshape(-1, 1, 1, 1)) @ g.T
        tiles = tiles.reshape(-1, LANES, ic, N, N).transpose(0, 4, 2, 3, 1)
        packed.data.view(np.float32).reshape(tiles.shape)[:] = tiles
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        return threads * sum(_own_bytes(layer.input_shapes[0].channels))

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape = operands.source_shape, operands.shape
        rows, columns = _count_tiles(layer)
        tiles, rest = _own_bytes(source.channels)
        table.add(
            o.PlanarWinograd(
                images=operands.images,
                tile_rows=rows,
                tile_columns=columns,
                tiles=operands.workspace,
                products=operands.workspace + tiles,
                thread_bytes=tiles + rest,
                a=operands.source,
                **operands.source_strides,
                channels=source.channels,
                height=source.height,
                width=source.width,
                padding=layer.padding,
                b=address(weights.data),
                b_panel=N**2 * source.channels * BLOCK,
                out_blocks=blocks(shape.channels),
                out_height=shape.height,
                out_width=shape.width,
                c=operands.target,
                c_plane=operands.plane,
                bias=address(weights.bias),
                residual=operands.residual,
                **operands.halved,
                out_cell=operands.cell,
                curve=operands.curve,
                slope=operands.slope,
                final=operands.final,
            )
        )


def _count_tiles(layer: Convolutional) -> tuple[int, int]:
    """Rows and columns of tiles of a picture."""
    _, height, width = layer.shape
    return -(-height // M), -(-width // M)


def _own_bytes(channels: int) -> tuple[int, int]:
    """Bytes of a thread's tiles, LANES of each channel, and of the room that pixels and some tiles' products share."""
    pixels = (channels + 1) * N * (M + 1)  # and those of one channel, half transformed
    return N**2 * channels * BLOCK, max(pixels, t.PLANAR_COUNT * M * N) * BLOCK
