"""Winograd's algorithm: tiles of pictures and of weights are transformed and multiplied position by position."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE, ROWS
from .base import cell_of, matrix_size, product_cycles
from .products import Operands, chunk, multiply, plain_strides
from .weights import PackedWeights, allocate, blocks

if TYPE_CHECKING:
    import numpy.typing as npt

# Of Winograd's F(m, r), by n = m + r - 1: interpolation points but the last, which is infinity, and what the weights'
# value there is scaled by.
POINTS = {
    4: ((0, 1), (1, 1 / 2), (-1, 1 / 2)),
    # The error of F(4, 3) in bfloat16 is 0.011 of an output's spread, for 0.029 with 1 and 2 instead of 2/3 and 3/2.
    6: ((0, 1), (2 / 3, -81 / 130), (-2 / 3, -81 / 130), (3 / 2, 8 / 65), (-3 / 2, 8 / 65)),
    8: ((0, 1), (1, -2 / 9), (-1, -2 / 9), (2, 1 / 90), (-2, 1 / 90), (1 / 2, 1 / 45), (-1 / 2, 1 / 45)),
}


def weight_transform(m: int, r: int) -> npt.NDArray[np.float32]:
    """G of F(m, r), (m + r - 1) x r: the 1-d transform of weights."""
    rows = [[scale * point**power for power in range(r)] for point, scale in POINTS[m + r - 1]]
    return np.array([*rows, [0] * (r - 1) + [1]], np.float32)


class _Tiling(NamedTuple):
    """How a Winograd convolution is divided.

    Attributes
    ----------
    n, m : int
        Positions in a side of an input tile, outputs in one of an output tile.
    rows, columns : int
        Of tiles, in all images.
    fused : bool
        Whether threads transform, multiply and transform back groups of tiles on their own.
    items : int
        Parts of the tiles that threads then take.
    at_a_time : int
        Rows of tiles that are worked on before the next ones, where they do not.
    groups, size : int
        Groups of tiles, of an item at most or worked on at a time, and tiles in a group.
    tile_bytes : int
        Of a tile and its products.
    """

    n: int
    m: int
    rows: int
    columns: int
    fused: bool
    items: int
    at_a_time: int
    groups: int
    size: int
    tile_bytes: int

    @property
    def workspace(self) -> int:
        """Bytes for tiles and products, of each thread where they are fused."""
        return (self.groups + (not self.fused)) * self.size * self.tile_bytes  # the last turn's groups may be larger


class Winograd:
    """F(m x m, r x r), of stride 1."""

    plain = bends = False

    def __init__(self, m: int, r: int, narrow: bool = False) -> None:
        self.m, self.r, self.narrow = m, r, narrow

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"wino_{self.m}x{self.m}_{self.r}x{self.r}"

    @property
    def n(self) -> int:
        """Positions in a side of an input tile."""
        return self.m + self.r - 1

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if (layer.size, layer.stride, layer.groups) != (self.r, 1, 1):
            return f"needs a {self.r} x {self.r} window, stride 1, one group"
        if layer.input_shapes[0].channels < LANES:
            return f"needs at least {LANES} channels"
        # Tiles of 8 x 8 err by 0.046 of an output's spread, those of 6 x 6 by 0.011.
        return "is not precise enough in bfloat16" if self.narrow and self.n == 8 else ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        return self._cycles(layer.input_shapes[0].channels, layer.shape)

    def _cycles(self, channels: int, shape: Shape) -> float:
        tiles = -(-shape.height // self.m) * -(-shape.width // self.m)
        into, out = MACHINE.transform_cycles[self.n]
        transforms = tiles * (into * blocks(channels) + out * blocks(shape.channels))
        return transforms + product_cycles(tiles, blocks(channels) * LANES, shape.channels, self.n**2, self.narrow)

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
        oc, ic, r, _ = weights.shape
        weights = weights.reshape(oc, ic, r * r)
        packed = allocate(store, bias, oc, self.n**2, blocks(ic), LANES)
        table.add(
            o.PackWinograd(
                weights=table.keep(weights),
                filter_stride=weights.strides[0],
                channel_stride=weights.strides[1],
                tap_stride=weights.strides[2],
                b=address(packed.data),
                b_panel=packed.panel_stride,
                b_batch=packed.batch_stride,
                panels=packed.panels,
                last_columns=packed.last_columns,
                channels=ic,
                out_channels=oc,
                in_tile=self.n,
                size=r,
                factor=table.keep(np.ascontiguousarray(factor)),
                transform=table.keep(weight_transform(self.m, r)),
            )
        )
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        tiling = self._tile(images, layer.input_shapes[0], layer.shape, threads)
        return tiling.workspace * (threads if tiling.fused else 1)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        self._lower(table, weights, operands, layer.padding)

    def _tile(self, images: int, source: Shape, shape: Shape, threads: int) -> _Tiling:
        m, n = self.m, self.n
        into, out = blocks(source.channels), blocks(shape.channels)
        rows, columns = images * -(-shape.height // m), -(-shape.width // m)
        tile_bytes = n * n * (into * cell_of(self.narrow) + out * BLOCK)
        own = MACHINE.fused_bytes // tile_bytes
        items = round_up(-(-rows * columns // max(own, 1)), threads)
        each = -(-rows * columns // items)
        weight_bytes = n * n * into * LANES * out * cell_of(self.narrow)
        if each >= MACHINE.fused_tiles and weight_bytes <= MACHINE.fused_weights:
            return _Tiling(n, m, rows, columns, True, items, rows, *_groups(each), tile_bytes)
        streamed = weight_bytes > MACHINE.streamed_weights
        chunk = MACHINE.streamed_chunk if streamed else MACHINE.chunk_bytes
        turns = -(-rows // max(1, chunk // (columns * tile_bytes)))
        at_a_time = -(-rows // turns)
        return _Tiling(n, m, rows, columns, False, 0, at_a_time, *_groups(at_a_time * columns), tile_bytes)

    def _lower(self, table: Table, weights: PackedWeights, operands: Operands, padding: int) -> None:
        source, shape = operands.source_shape, operands.shape
        tiling = self._tile(operands.images, source, shape, operands.threads)
        positions, into, out = tiling.n**2, blocks(source.channels), blocks(shape.channels)
        zeros = table.keep(np.zeros(out * LANES, np.float32))
        plain = operands._replace(residual=0, slope=1, final=1)  # biases and activations come after the transform
        for first in range(0, tiling.rows, tiling.at_a_time):
            rows = min(tiling.at_a_time, tiling.rows - first)
            groups, size = (tiling.groups, tiling.size) if tiling.fused else _groups(rows * tiling.columns)
            # [block of channels][group][position][tile][LANES]: all that is written for a tile lies close together.
            together, plane = positions * size, groups * positions * size
            products = operands.workspace + into * plane * weights.cell
            taps = table.keep(np.arange(into, dtype=np.int64) * plane * weights.cell)
            work = dict(
                row_count=rows,
                first_row=first,
                tile_rows=-(-shape.height // tiling.m),
                tile_columns=tiling.columns,
                in_tile=tiling.n,
                out_tile=tiling.m,
            )
            tiles = dict(tiles=operands.workspace, tiles_plane=plane * weights.cell)
            multiplied = dict(products=products, products_plane=plane * BLOCK)
            given = dict(
                a=operands.source,
                a_plane=operands.source_plane,
                blocks=into,
                height=source.height,
                width=source.width,
                padding=padding,
            )
            wanted = dict(
                out_blocks=out,
                out_height=shape.height,
                out_width=shape.width,
                c=operands.target,
                c_plane=operands.plane,
                bias=address(weights.bias),
                residual=operands.residual,
                out_cell=operands.cell,
            )
            if tiling.fused:
                table.add(
                    o.Winograd(
                        **work,
                        **tiles,
                        **multiplied,
                        **given,
                        **wanted,
                        slope=operands.slope,
                        final=operands.final,
                        items=tiling.items,
                        thread_bytes=tiling.workspace,
                        **weights.columns,
                        taps=taps,
                        no_bias=zeros,
                    )
                )
                continue
            table.add(o.WinogradInput(**work, group_size=size, **tiles, **given, cell=weights.cell))
            multiply(
                table,
                weights,
                plain,
                batches=positions,
                row_count=groups,
                pixels=size,
                pixel=weights.cell,
                chunk=chunk(groups, positions * weights.panels),
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
                bias=zeros,
            )
            table.add(
                o.WinogradOutput(
                    **work, group_size=size, **multiplied, **wanted, slope=operands.slope, final=operands.final
                )
            )


class PhasesWinograd(Winograd):
    """The same for a strided window of few channels, by its phases, whose stride is 1."""

    plain = True

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"phases_{super().name}"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if layer.groups != 1 or layer.stride == 1 or -(-layer.size // layer.stride) != self.r:
            return f"needs a stride of which {self.r} make a window's side, one group"
        return f"needs fewer than {LANES} channels" if layer.input_shapes[0].channels >= LANES else ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        source = layer.input_shapes[0]
        return source.size * MACHINE.split_cycles + self._cycles(source.channels * layer.stride**2, layer.shape)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return self.n**2 * matrix_size(layer.filters, layer.stride**2 * layer.input_shapes[0].channels, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        return super().pack(table, store, layer, split_phases(weights, layer.stride), factor, bias)

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        phases = self._phases(layer)
        tiling = self._tile(images, phases, layer.shape, threads)
        return images * _picture_bytes(phases) + tiling.workspace * (threads if tiling.fused else 1)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        self._lower(table, weights, self._split(table, layer, operands), 0)

    def _phases(self, layer: Convolutional) -> Shape:
        """The picture's phases, with their edges, as channels."""
        more = self.r - 1
        _, height, width = layer.shape
        return Shape(layer.input_shapes[0].channels * layer.stride**2, height + more, width + more)

    def _split(self, table: Table, layer: Convolutional, operands: Operands) -> Operands:
        """Split padded pictures into phases; the operands of what is left."""
        phases = self._phases(layer)
        table.add(
            o.ToPhases(
                a=operands.source,
                **plain_strides(operands),
                c=operands.workspace,
                channels=operands.source_shape.channels,
                images=operands.images,
                height=operands.source_shape.height,
                width=operands.source_shape.width,
                padding=layer.padding,
                stride=layer.stride,
                blocks=blocks(phases.channels),
                out_height=phases.height,
                out_width=phases.width,
            )
        )
        workspace = operands.workspace + operands.images * _picture_bytes(phases)
        return operands._replace(source=operands.workspace, source_shape=phases, source_cell=BLOCK, workspace=workspace)


def split_phases(weights: Array, stride: int) -> Array:
    """Weights (out channels, channels, k, k) as those of stride 1 for the phases of a picture.

    Phase (y, x) of a picture has every `stride`-th row and column from y and x on; phases come before channels.
    """
    oc, ic, size, _ = weights.shape
    r = -(-size // stride)
    more = (0, r * stride - size)
    whole = np.pad(weights, ((0, 0), (0, 0), more, more)).reshape(oc, ic, r, stride, r, stride)
    return np.ascontiguousarray(whole.transpose(0, 3, 5, 1, 2, 4)).reshape(oc, -1, r, r)


def _picture_bytes(shape: Shape) -> int:
    return blocks(shape.channels) * shape.height * shape.width * BLOCK


def _groups(tiles: int) -> tuple[int, int]:
    """How many groups of tiles there are, and tiles in each: as many as the micro-kernel takes, or a little less."""
    groups = -(-tiles // ROWS)
    return groups, -(-tiles // groups)
