"""Winograd's algorithm: tiles of pictures and of weights are transformed and multiplied position by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE, ROWS
from ..table import KIND_COUNT
from ..toom import Tile, weight_matrix
from .base import arithmetic_cycles, cell_of, fetch_cycles, matrix_size
from .products import Operands, chunk, multiply
from .weights import PackedWeights, allocate, blocks

if TYPE_CHECKING:
    import numpy.typing as npt

GROUP_TILES = 28  # the most that are stored together; 14, 42 and 84 took as long, within noise


def count_points(side: int, m: int, r: int) -> int:
    """The points of all tiles of F(m, r) along a side of `side` outputs: the last may have fewer than the others."""
    return side + (r - 1) * -(-side // m)


class Tiling(NamedTuple):
    """How a Winograd convolution is divided.

    Attributes
    ----------
    rows, columns : int
        Of tiles, in all images.
    fused : bool
        Whether threads transform, multiply and transform back groups of tiles on their own.
    at_a_time : int
        Tiles that are worked on before the next ones: all where they are fused, otherwise whole rows.
    groups, size : int
        Groups of the tiles that are worked on at a time, and the most tiles in a group.
    tile_bytes : int
        Of a tile and its products.
    """

    rows: int
    columns: int
    fused: bool
    at_a_time: int
    groups: int
    size: int
    tile_bytes: int

    @property
    def workspace(self) -> int:
        """Bytes for tiles and products, for each thread where they are fused."""
        return (1 if self.fused else self.groups) * self.size * self.tile_bytes


class Winograd:
    """F(m x m, r x r), stride 1."""

    plain = sums_rows = False

    def __init__(self, m: int, r: int, narrow: bool = False) -> None:
        self.m, self.r, self.n, self.narrow = m, r, Tile(m, r).n, narrow

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"wino_{self.m}x{self.m}_{self.r}x{self.r}"

    @property
    def halves(self) -> bool:
        """See `Algorithm`."""
        return Tile(self.m, self.r).halves

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if (layer.size, layer.stride, layer.groups) != (self.r, 1, 1):
            return f"needs a {self.r} x {self.r} window, stride 1, one group"
        if layer.input_shapes[0].channels < LANES:
            return f"needs at least {LANES} channels"
        return self._imprecise

    @property
    def _imprecise(self) -> str:
        # Tiles of 8 x 8 err by 0.046 of an output's spread, those of 6 x 6 by 0.011.
        return "is not precise enough in bfloat16" if self.narrow and self.n == 8 else ""

    def points(self, layer: Convolutional) -> int:
        """Points of a line of inputs, in all phases together, whose products are not of zeros: here all."""
        return self.n * layer.stride

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        return self._cycles(layer.input_shapes[0].channels, layer.shape)

    def _cycles(self, channels: int, shape: Shape, kept: float = 1) -> float:
        """Predicted cycles for this many channels; `kept` is the share of the products that are not of zeros."""
        into, out = MACHINE.transform_cycles[self.n]
        # Pictures smaller than a tile should not choose large ones, which err more: F(6, 3) by 8e-6 of the outputs,
        # F(4, 3) by 1.3e-6, F(2, 3) by 3e-7.
        sides = [max(side, self.m) for side in shape[1:]]
        tiles = math.prod(count_points(side, self.m, self.r) for side in sides) / self.n**2
        depth, positions, arithmetic = blocks(channels) * LANES, 0, 0.0
        for (high, tall), (wide, broad) in product(*map(self._shared, sides)):
            positions += high * wide
            arithmetic += arithmetic_cycles(tall * broad, depth, shape.channels, high * wide, self.narrow)
        fetching = fetch_cycles(depth, shape.channels, positions, self.narrow)
        transforms = tiles * (into * blocks(channels) + out * blocks(shape.channels))
        return transforms + kept * max(arithmetic, fetching)

    def _shared(self, side: int) -> list[tuple[int, int]]:
        """Numbers of points and tiles along a side: of the points that all tiles have, and of those that some lack."""
        whole, rest = divmod(side, self.m)
        if not rest:
            return [(self.n, whole)]
        least = rest + self.r - 1
        return [(least, whole + 1), (self.n - least, whole)]

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return False

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return self.n**2 * matrix_size(layer.filters, layer.input_shapes[0].channels, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        oc, ic, _, _ = weights.shape
        packed = allocate(store, bias, oc, self.n**2, blocks(ic), LANES)
        self._pack(table, packed, weights, factor)
        return packed

    def _pack(self, table: Table, packed: PackedWeights, weights: Array, factor: Array, first_channel: int = 0) -> None:
        oc, ic, rows, columns = weights.shape
        filter_stride, channel_stride, row_stride, tap_stride = weights.strides
        table.add(
            o.PackWinograd(
                weights=table.keep(weights),
                filter_stride=filter_stride,
                channel_stride=channel_stride,
                row_stride=row_stride,
                tap_stride=tap_stride,
                tap_rows=rows,
                tap_columns=columns,
                b=address(packed.data),
                b_panel=packed.panel_stride,
                b_batch=packed.batch_stride,
                panels=packed.panels,
                last_columns=packed.last_columns,
                channels=ic,
                first_channel=first_channel,
                out_channels=oc,
                in_tile=self.n,
                size=self.r,
                factor=table.keep(np.ascontiguousarray(factor)),
                transform=table.keep(np.array(weight_matrix(self.n, self.r), np.float32)),
            )
        )

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        return self._workspace(images, blocks(layer.input_shapes[0].channels), layer.shape, threads)

    def _workspace(self, images: int, into: int, shape: Shape, threads: int) -> int:
        tiling = self._tile(images, into, shape, threads)
        return tiling.workspace * (threads if tiling.fused else 1)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        self._lower(table, weights, operands, [(-layer.padding, -layer.padding)])

    def _tile(self, images: int, into: int, shape: Shape, threads: int) -> Tiling:
        """How a convolution of `into` blocks of channels is divided."""
        m, n, out = self.m, self.n, blocks(shape.channels)
        rows, columns = images * -(-shape.height // m), -(-shape.width // m)
        tile_bytes = n * n * (into * cell_of(self.narrow) + out * BLOCK)
        own = MACHINE.fused_bytes // tile_bytes
        groups = round_up(-(-rows * columns // max(own, 1)), threads)
        each = -(-rows * columns // groups)
        weight_bytes = n * n * into * LANES * out * cell_of(self.narrow)
        if each >= MACHINE.fused_tiles and weight_bytes <= MACHINE.fused_weights:
            return Tiling(rows, columns, True, rows * columns, groups, each, tile_bytes)
        streamed = weight_bytes > MACHINE.streamed_weights
        chunk = MACHINE.streamed_chunk if streamed else MACHINE.chunk_bytes
        turns = -(-rows // max(1, chunk // (columns * tile_bytes)))
        tiles = -(-rows // turns) * columns
        groups = -(-tiles // GROUP_TILES)
        return Tiling(rows, columns, False, tiles, groups, -(-tiles // groups), tile_bytes)

    def _lower(
        self,
        table: Table,
        weights: PackedWeights,
        operands: Operands,
        corners: Sequence[tuple[int, int]],
        stride: int = 1,
        tap_ranges: int = 0,
        batches: int = 1,
    ) -> None:
        """Add the operations; `corners` are the row and column of each phase's first input.

        With several `batches` each has its own part of the channels, and the steps must be fused.
        """
        source, shape = operands.source_shape, operands.shape
        planes = range(0, blocks(source.channels) * operands.source_plane, operands.source_plane)
        origins = [(plane, *corner) for corner in corners for plane in planes]
        shape = shape._replace(channels=shape.channels // batches)
        positions, into, out = self.n**2, len(origins) // batches, blocks(shape.channels)
        tiling = self._tile(operands.images, into, shape, operands.threads)
        kinds = table.keep(self._find_kinds(shape))
        # Biases and activations come after the transform.
        unfinished = operands._replace(residual=0, slope=1, final=1, curve=0)
        tile_count = tiling.rows * tiling.columns
        for first in range(0, tile_count, tiling.at_a_time):
            tiles = range(first, min(first + tiling.at_a_time, tile_count))
            groups = tiling.groups if tiling.fused else -(-len(tiles) // tiling.size)
            order, spans = self._order(tiles, groups, tiling, shape)
            # [block of channels][group][position][tile][LANES]: all that is written for a tile is close together.
            size = tiling.size
            together, plane = positions * size, (1 if tiling.fused else groups) * positions * size
            products = operands.workspace + into * plane * weights.cell
            taps = table.keep(np.arange(into, dtype=np.int64) * plane * weights.cell)
            work = dict(
                groups=groups,
                group_size=size,
                order=table.keep(order),
                spans=table.keep(spans),
                tile_rows=-(-shape.height // self.m),
                tile_columns=tiling.columns,
                in_tile=self.n,
                out_tile=self.m,
                out_height=shape.height,
                out_width=shape.width,
            )
            given = dict(
                tiles=operands.workspace,
                tiles_plane=plane * weights.cell,
                a=operands.source,
                origins=table.keep(np.array(origins, np.int64)),
                blocks=into,
                height=source.height,
                width=source.width,
                stride=stride,
            )
            wanted = dict(
                products=products,
                products_plane=plane * BLOCK,
                out_blocks=out,
                c=operands.target,
                c_plane=operands.plane,
                bias=address(weights.bias),
                residual=operands.residual,
                **operands.halved,
                out_cell=operands.cell,
                curve=operands.curve,
            )
            if tiling.fused:
                read = dict(kinds=kinds, taps=taps, tap_ranges=tap_ranges, **weights.columns)
                own = dict(batches=batches, thread_bytes=tiling.workspace, **read)
                table.add(o.Winograd(**work, **given, **wanted, **own, slope=operands.slope, final=operands.final))
                continue
            table.add(o.WinogradInput(**work, **given, cell=weights.cell))
            multiply(
                table,
                weights,
                unfinished,
                batches=positions,
                row_count=groups,
                pixels=size,
                spans=work["spans"],
                kinds=kinds,
                pixel=weights.cell,
                chunk=chunk(groups * -(-size // ROWS), positions * weights.panels),
                claim=positions * weights.batch_stride >= MACHINE.claimed_weights,
                a=operands.workspace,
                a_batch=size * weights.cell,
                a_row=together * weights.cell,
                c=products,
                c_batch=size * BLOCK,
                c_row=together * BLOCK,
                c_plane=plane * BLOCK,
                out_cell=BLOCK,
                taps=taps,
                tap_ranges=tap_ranges,
                bias=0,
            )
            table.add(o.WinogradOutput(**work, **wanted, slope=operands.slope, final=operands.final))

    def _find_kinds(self, shape: Shape) -> npt.NDArray[np.int64]:
        """The kind of each position: 1 if the last column's tiles do not have it, plus 2 if the last row's do not."""
        last = ((side - 1) % self.m + self.r for side in shape[1:])
        down, across = (np.arange(self.n) >= points for points in last)
        return (2 * down[:, None] + across).astype(np.int64)

    def _order(
        self, tiles: range, groups: int, tiling: Tiling, shape: Shape
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Tiles in groups; and for each group and kind of position the first tile that has it, and how many do.

        Tiles with a kind of position are neighbours: those of the last column alone come first, then those of neither
        the last column nor the last row, then those of the last row alone, then that of both.
        """
        rows, columns = np.divmod(np.arange(tiles.start, tiles.stop), tiling.columns)
        tile_rows = -(-shape.height // self.m)
        narrow, low = columns == tiling.columns - 1, rows % tile_rows == tile_rows - 1
        bounds = np.arange(groups + 1) * len(tiles) // groups
        group = np.repeat(np.arange(groups), np.diff(bounds))
        places = KIND_COUNT * group + np.where(low, 2 + narrow, 1 - narrow)
        order = np.zeros((groups, tiling.size), np.int64)
        order[group, np.arange(len(tiles)) - bounds[group]] = tiles.start + np.argsort(places, kind="stable")
        first, second, third, fourth = np.bincount(places, minlength=KIND_COUNT * groups).reshape(groups, KIND_COUNT).T
        none = np.zeros_like(first)
        spans = np.array(
            [[none, first + second + third + fourth], [first, second + third], [none, first + second], [first, second]]
        )
        return order, np.ascontiguousarray(spans.transpose(2, 0, 1))
