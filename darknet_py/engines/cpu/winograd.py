"""Winograd's convolutions -> operations: how pictures are divided into tiles, and when they are transformed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...layers import Shape
from ...layers.convolutional import Convolutional
from . import table as t
from .arena import address, round_up
from .builder import Table
from .isa import BLOCK, LANES, ROWS
from .kernels import Kernels, blocks
from .products import Call, chunk, multiply, plain_strides
from .select import Choice

# Winograd's three steps are one where a thread's tiles and products, of so many bytes at most, stay in its second
# cache, and the kernels, which all groups of tiles read anew, in the third.
FUSED_BYTES = 512 << 10
FUSED_KERNELS = 4 << 20
FUSED_TILES = 6  # of an item, at least
WINOGRAD_CHUNK = 4 << 20  # bytes of transformed tiles that are worked on at a time
# Kernels of more bytes than this are better read once, from memory, than transformed tiles kept in a cache: layers of
# 512 channels at 28 x 28 take 4.8 ms for 5.2 on two cores.
STREAMED_KERNELS = 24 << 20
STREAMED_CHUNK = 16 << 20
# Kernels of so many bytes come from memory: fetching an item's during the one before it made 3 x 3 layers of 256
# to 512 channels at 14 x 14 take 0.78 ms for 1.11 on two cores.
CLAIM_BYTES = 1 << 20


@dataclass(frozen=True)
class _Tiling:
    """How a Winograd convolution is divided.

    Attributes
    ----------
    n, m : int
        Cells in a side of an input and an output tile.
    rows, columns : int
        Of tiles, in all images.
    fused : bool
        Whether threads transform, multiply and transform back groups of tiles on their own.
    at_a_time : int
        Rows of tiles that are worked on before the next ones, where they do not.
    groups, size : int
        Groups of tiles, of an item or worked on at a time, and tiles in a group.
    tile_bytes : int
        Of a tile and its products.
    """

    n: int
    m: int
    rows: int
    columns: int
    fused: bool
    at_a_time: int
    groups: int
    size: int
    tile_bytes: int

    @property
    def workspace(self) -> int:
        """Bytes for tiles and products, of each thread where they are fused."""
        return (self.groups + (not self.fused)) * self.size * self.tile_bytes  # the last turn's groups may be larger


def winograd_workspace(
    choice: Choice, layer: Convolutional, images: int, source: Shape, shape: Shape, threads: int
) -> int:
    """Bytes that `lower_winograd` needs besides source and target."""
    transformed = _transformed(choice, layer, source, shape)
    tiling = _tile(choice, images, transformed, shape, threads)
    split = 0 if layer.stride == 1 else images * _picture_bytes(transformed)
    return split + tiling.workspace * (threads if tiling.fused else 1)


def _picture_bytes(shape: Shape) -> int:
    return blocks(shape.channels) * shape.height * shape.width * BLOCK


def _tile(choice: Choice, images: int, source: Shape, shape: Shape, threads: int) -> _Tiling:
    m, n = choice.tile, choice.tile + choice.side - 1
    into, out = blocks(source.channels), blocks(shape.channels)
    rows, columns = images * -(-shape.height // m), -(-shape.width // m)
    tile_bytes = n * n * (into * choice.cell + out * BLOCK)
    own = FUSED_BYTES // tile_bytes
    items = round_up(-(-rows * columns // max(own, 1)), threads)
    each = -(-rows * columns // items)
    kernel_bytes = n * n * into * LANES * out * choice.cell
    if each >= FUSED_TILES and kernel_bytes <= FUSED_KERNELS:
        return _Tiling(n, m, rows, columns, True, rows, *_groups(each), tile_bytes)
    chunk = WINOGRAD_CHUNK if kernel_bytes <= STREAMED_KERNELS else STREAMED_CHUNK
    turns = -(-rows // max(1, chunk // (columns * tile_bytes)))
    at_a_time = -(-rows // turns)
    return _Tiling(n, m, rows, columns, False, at_a_time, *_groups(at_a_time * columns), tile_bytes)


def _groups(tiles: int) -> tuple[int, int]:
    """How many groups of tiles there are, and tiles in each: as many as the micro-kernel takes, or a little less."""
    groups = -(-tiles // ROWS)
    return groups, -(-tiles // groups)


def _transformed(choice: Choice, layer: Convolutional, source: Shape, shape: Shape) -> Shape:
    """What is divided into tiles: the picture, or its phases as channels."""
    if layer.stride == 1:
        return source
    more = choice.side - 1
    return Shape(source.channels * layer.stride**2, shape.height + more, shape.width + more)


def _split_phases(table: Table, choice: Choice, layer: Convolutional, call: Call) -> Call:
    """Split padded pictures into phases, as if they were channels; the call that then remains."""
    phases = _transformed(choice, layer, call.source_shape, call.shape)
    table.add(
        t.TO_PHASES,
        a=call.source,
        **plain_strides(call),
        c=call.workspace,
        channels=call.source_shape.channels,
        images=call.images,
        height=call.source_shape.height,
        width=call.source_shape.width,
        padding=layer.padding,
        stride=layer.stride,
        blocks=blocks(phases.channels),
        out_height=phases.height,
        out_width=phases.width,
    )
    workspace = call.workspace + call.images * _picture_bytes(phases)
    return replace(call, source=call.workspace, source_shape=phases, source_cell=BLOCK, workspace=workspace)


def lower_winograd(table: Table, choice: Choice, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    """The operations of a convolution by Winograd's F(m x m, r x r), of a picture or its phases."""
    padding = layer.padding
    if layer.stride > 1:
        call, padding = _split_phases(table, choice, layer, call), 0
    source, shape = call.source_shape, call.shape
    tiling = _tile(choice, call.images, source, shape, call.threads)
    positions, into, out = tiling.n**2, blocks(source.channels), blocks(shape.channels)
    zeros = table.keep(np.zeros(out * LANES, np.float32))
    plain = replace(call, residual=0, slope=1, final=1)  # biases and activations come after the transform
    for first in range(0, tiling.rows, tiling.at_a_time):
        rows = min(tiling.at_a_time, tiling.rows - first)
        groups, size = (tiling.groups, tiling.size) if tiling.fused else _groups(rows * tiling.columns)
        # [block of channels][group][position][tile][LANES]: all that is written for a tile lies close together.
        cells, plane = positions * size, groups * positions * size
        products = call.workspace + into * plane * kernels.cell
        taps = table.keep(np.arange(into, dtype=np.int64) * plane * kernels.cell)
        work = dict(
            row_count=rows,
            first_row=first,
            tile_rows=-(-shape.height // tiling.m),
            tile_columns=tiling.columns,
            in_tile=tiling.n,
            out_tile=tiling.m,
            group_size=size,
            tiles=call.workspace,
            tiles_plane=plane * kernels.cell,
            products=products,
            products_plane=plane * BLOCK,
        )
        given = dict(
            a=call.source,
            a_plane=call.source_plane,
            blocks=into,
            height=source.height,
            width=source.width,
            padding=padding,
        )
        wanted = dict(
            out_blocks=out,
            out_height=shape.height,
            out_width=shape.width,
            c=call.target,
            c_plane=call.plane,
            bias=address(kernels.bias),
            residual=call.residual,
            out_cell=call.cell,
        )
        if tiling.fused:
            table.add(
                t.WINOGRAD,
                **work,
                **given,
                **wanted,
                slope=call.slope,
                final=call.final,
                groups=groups,
                thread_bytes=tiling.workspace,
                **kernels.columns,
                taps=taps,
                no_bias=zeros,
            )
            continue
        table.add(t.WINOGRAD_INPUT, **work, **given, cell=kernels.cell)
        multiply(
            table,
            kernels,
            plain,
            batches=positions,
            row_count=groups,
            pixels=size,
            pixel=kernels.cell,
            chunk=chunk(groups, positions * kernels.panels),
            claim=positions * kernels.batch_stride >= CLAIM_BYTES,
            a=call.workspace,
            a_batch=size * kernels.cell,
            a_row=cells * kernels.cell,
            c=products,
            c_batch=size * BLOCK,
            c_row=cells * BLOCK,
            c_plane=plane * BLOCK,
            out_cell=BLOCK,
            taps=taps,
            bias=zeros,
        )
        table.add(t.WINOGRAD_OUTPUT, **work, **wanted, slope=call.slope, final=call.final)
