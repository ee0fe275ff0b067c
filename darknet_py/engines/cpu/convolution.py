"""Convolutions and connected layers -> operations: products and transforms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...layers import Shape
from ...layers.convolutional import Convolutional
from . import table as t
from .arena import address, round_up
from .builder import Table
from .isa import BLOCK, COLUMNS, LANES, ROWS, UNROLL
from .kernels import Kernels, blocks
from .select import Choice, bundle

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
ITEMS = 16  # of work, at least, for each operation
TILES_PER_ITEM = 24
# Kernels of so many bytes come from memory: fetching an item's during the one before it made 3 x 3 layers of 256
# to 512 channels at 14 x 14 take 0.78 ms for 1.11 on two cores.
CLAIM_BYTES = 1 << 20


@dataclass(frozen=True)
class Call:
    """What a convolution or connected layer works on, in one plan.

    Attributes
    ----------
    images : int
    source, target, residual, workspace : int
        Addresses; residual is 0 where there is none.
    source_shape, shape : Shape
        Of one picture.
    slope, final : float
        Activations before and after the residual is added.
    threads : int
        That the operations are for; the results are the same for any.
    plain : bool
        Whether the source is in plain layout, not blocked.
    """

    images: int
    source: int
    target: int
    residual: int
    workspace: int
    source_shape: Shape
    shape: Shape
    slope: float
    final: float
    threads: int = 1
    plain: bool = False

    @property
    def source_plane(self) -> int:
        """Bytes from a block of the source's channels to the next."""
        return self.images * self.source_shape.height * self.source_shape.width * BLOCK

    @property
    def plane(self) -> int:
        """Bytes from a block of the target's channels to the next."""
        return self.images * self.shape.height * self.shape.width * BLOCK


def workspace_size(choice: Choice, layer: Convolutional, images: int, source: Shape, shape: Shape, threads: int) -> int:
    """Bytes that `lower_convolution` needs besides source and target."""
    if choice.tile:
        r, phases = _phases(layer, source, shape)
        tiling = _tile(choice.tile, r, images, phases, shape, threads)
        own = 0 if layer.stride == 1 else images * blocks(phases.channels) * phases.height * phases.width * BLOCK
        return own + tiling.workspace * (threads if tiling.fused else 1)
    if choice.name == "strassen_1x1":
        return threads * _pairs(source, threads)[1]
    height, width = source.height + 2 * layer.padding, source.width + 2 * layer.padding
    if choice.name == "direct_pixels":
        return images * height * (width + _slack(source.channels)) * source.channels * 4
    return images * blocks(source.channels) * height * width * BLOCK if layer.padding else 0


def _slack(channels: int) -> int:
    """Pixels of zeros after a row of unblocked ones, for a tap whose depth is rounded up."""
    return -(-(UNROLL - 1) // channels)


def lower_connected(table: Table, kernels: Kernels, call: Call) -> None:
    """A connected layer: a kernel as large as the picture, and images for pixels."""
    start, cells = call.source, call.source_shape.height * call.source_shape.width
    if cells > 1 and call.images > 1:
        start = call.workspace
        table.add(
            t.FLATTEN, a=call.source, c=start, blocks=blocks(call.source_shape.channels), size=cells, images=call.images
        )
    taps = np.arange(kernels.taps, dtype=np.int64) * call.images * BLOCK
    _multiply(table, kernels, call, pixels=call.images, pixel=BLOCK, chunk=1, a=start, taps=table.keep(taps))


def lower_convolution(table: Table, choice: Choice, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    """The operations of a convolution by the implementation `choice`."""
    if choice.tile:
        _lower_winograd(table, choice.tile, layer, kernels, call)
    elif choice.name == "strassen_1x1":
        _lower_quarters(table, kernels, call)
    elif choice.name == "direct_pixels":
        _lower_pixels(table, layer, kernels, call)
    else:
        _lower_direct(table, layer, kernels, call)


def _multiply(table: Table, kernels: Kernels, call: Call, image: int = 0, **columns: int) -> None:
    """Add a GEMM for `image`, or from it on; `columns` of `table` come on top of what follows from the rest."""
    offset = image * call.shape.height * call.shape.width * BLOCK
    defaults = dict(
        batches=1,
        row_count=1,
        panels=kernels.panels,
        last_columns=kernels.last_columns,
        b=address(kernels.data),
        b_batch=kernels.batch_stride,
        b_panel=kernels.panel_stride,
        tap_count=kernels.taps,
        depth=kernels.depth,
        c=call.target + offset,
        c_plane=call.plane,
        c_row=call.shape.width * BLOCK,
        bias=address(kernels.bias),
        residual=call.residual and call.residual + offset,
    )
    table.add(t.GEMM, slope=call.slope, final=call.final, **(defaults | columns))


def _chunk(tiles: int, panels: int) -> int:
    """Tiles an item: many for the sake of the kernels that they share, few enough that all threads have work."""
    return max(1, min(TILES_PER_ITEM, tiles * panels // ITEMS))


def _lower_direct(table: Table, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    source, shape, p = call.source_shape, call.shape, layer.padding
    height, width, start, plane = source.height, source.width, call.source, call.source_plane
    if p:
        table.add(
            t.PAD,
            a=start,
            c=call.workspace,
            blocks=blocks(source.channels),
            images=call.images,
            height=height,
            width=width,
            padding=p,
        )
        height, width, start = height + 2 * p, width + 2 * p, call.workspace
        plane = call.images * height * width * BLOCK
    together = bundle(layer)
    assert together is not None
    batches = layer.groups // together
    into, out = blocks(source.channels // batches), blocks(shape.channels // batches)
    cell = np.arange(layer.size)
    cells = (cell[:, None] * width + cell).ravel() * BLOCK
    taps = (np.arange(into)[:, None] * plane + cells).ravel().astype(np.int64)
    # Rows of one picture, and pictures, lie one after another; where no edge parts them, they are one long row.
    whole = layer.size == 1 and layer.stride == 1 and not p
    rows, pixels = (1, call.images * shape.height * shape.width) if whole else (shape.height, shape.width)
    tiles = rows * -(-pixels // ROWS)
    for image in range(1 if whole else call.images):
        _multiply(
            table,
            kernels,
            call,
            image,
            batches=batches,
            row_count=rows,
            pixels=pixels,
            pixel=layer.stride * BLOCK,
            chunk=_chunk(tiles, kernels.panels * batches),
            a=start + image * height * width * BLOCK,
            a_batch=into * plane,
            a_row=layer.stride * width * BLOCK,
            c_batch=out * call.plane,
            taps=table.keep(taps),
            bias_batch=out * BLOCK,
        )


def _pairs(source: Shape, threads: int) -> tuple[int, int]:
    """Pairs of pixels in an item of Strassen's algorithm, and bytes of their sums and products."""
    pairs = -(-source.height * source.width // 2)
    size = -(-pairs // round_up(-(-pairs // ROWS), threads))
    return size, (4 * blocks(source.channels) // 2 + 7 * COLUMNS) * size * BLOCK


def _lower_quarters(table: Table, kernels: Kernels, call: Call) -> None:
    source, shape = call.source_shape, call.shape
    size, thread_bytes = _pairs(source, call.threads)
    offsets = np.arange(blocks(source.channels) // 2, dtype=np.int64)
    table.add(
        t.STRASSEN,
        a=call.source,
        a_plane=call.source_plane,
        images=call.images,
        pixels=shape.height * shape.width,
        group_size=size,
        blocks=blocks(source.channels),
        out_blocks=blocks(shape.channels),
        b=address(kernels.data),
        b_panel=kernels.panel_stride,
        panels=blocks(shape.channels) // 2 // COLUMNS,
        taps=table.keep(offsets * call.source_plane),
        sum_taps=table.keep(offsets * size * BLOCK),
        tiles=call.workspace,
        products=call.workspace + 2 * blocks(source.channels) * size * BLOCK,
        thread_bytes=thread_bytes,
        c=call.target,
        c_plane=call.plane,
        bias=address(kernels.bias),
        residual=call.residual,
        slope=call.slope,
        final=call.final,
    )


def _plain_strides(call: Call) -> dict[str, int]:
    """Strides of images, channels, rows and pixels of a source of fewer than `LANES` channels."""
    source = call.source_shape
    pixel, plane = (4, source.height * source.width * 4) if call.plain else (BLOCK, 4)
    image = source.channels * plane if call.plain else source.height * source.width * BLOCK
    return dict(a_batch=image, a_plane=plane, a_row=source.width * pixel, pixel=pixel)


def _lower_pixels(table: Table, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    source, shape, p = call.source_shape, call.shape, layer.padding
    height, width = source.height + 2 * p, source.width + 2 * p + _slack(source.channels)
    table.add(
        t.TO_PIXELS,
        a=call.source,
        **_plain_strides(call),
        c=call.workspace,
        channels=source.channels,
        images=call.images,
        height=source.height,
        width=source.width,
        padding=p,
        out_height=height,
        out_width=width,
    )
    row = width * source.channels * 4
    taps = np.arange(layer.size, dtype=np.int64) * row
    tiles = shape.height * -(-shape.width // ROWS)
    for image in range(call.images):
        _multiply(
            table,
            kernels,
            call,
            image,
            row_count=shape.height,
            pixels=shape.width,
            pixel=layer.stride * source.channels * 4,
            chunk=_chunk(tiles, kernels.panels),
            a=call.workspace + image * height * row,
            a_row=layer.stride * row,
            taps=table.keep(taps),
        )


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


def _tile(m: int, r: int, images: int, source: Shape, shape: Shape, threads: int) -> _Tiling:
    n, into, out = m + r - 1, blocks(source.channels), blocks(shape.channels)
    rows, columns = images * -(-shape.height // m), -(-shape.width // m)
    tile_bytes = n * n * (into + out) * BLOCK
    own = FUSED_BYTES // tile_bytes
    items = round_up(-(-rows * columns // max(own, 1)), threads)
    each = -(-rows * columns // items)
    kernel_bytes = n * n * into * LANES * out * BLOCK
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


def _phases(layer: Convolutional, source: Shape, shape: Shape) -> tuple[int, Shape]:
    """A kernel's side in a picture's phases, and their shape; of stride 1, in the picture itself."""
    r = -(-layer.size // layer.stride)
    if layer.stride == 1:
        return r, source
    return r, Shape(source.channels * layer.stride**2, shape.height + r - 1, shape.width + r - 1)


def _split_phases(table: Table, layer: Convolutional, call: Call) -> Call:
    """Split padded pictures into phases, as if they were channels; the call that then remains."""
    _, phases = _phases(layer, call.source_shape, call.shape)
    table.add(
        t.TO_PHASES,
        a=call.source,
        **_plain_strides(call),
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
    size = call.images * blocks(phases.channels) * phases.height * phases.width * BLOCK
    return replace(call, source=call.workspace, source_shape=phases, workspace=call.workspace + size)


def _lower_winograd(table: Table, m: int, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    r, padding = -(-layer.size // layer.stride), layer.padding
    if layer.stride > 1:
        call, padding = _split_phases(table, layer, call), 0
    source, shape = call.source_shape, call.shape
    tiling = _tile(m, r, call.images, source, shape, call.threads)
    positions, into, out = tiling.n**2, blocks(source.channels), blocks(shape.channels)
    zeros = table.keep(np.zeros(out * LANES, np.float32))
    plain = replace(call, residual=0, slope=1, final=1)  # biases and activations come after the transform
    for first in range(0, tiling.rows, tiling.at_a_time):
        rows = min(tiling.at_a_time, tiling.rows - first)
        groups, size = (tiling.groups, tiling.size) if tiling.fused else _groups(rows * tiling.columns)
        # [block of channels][group][position][tile][LANES]: all that is written for a tile lies close together.
        position = size * BLOCK
        group = positions * position
        plane = groups * group
        products = call.workspace + into * plane
        taps = table.keep(np.arange(into, dtype=np.int64) * plane)
        work = dict(
            row_count=rows,
            first_row=first,
            tile_rows=-(-shape.height // m),
            tile_columns=tiling.columns,
            in_tile=tiling.n,
            out_tile=m,
            group_size=size,
            tiles=call.workspace,
            tiles_plane=plane,
            products=products,
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
                panels=kernels.panels,
                last_columns=kernels.last_columns,
                b=address(kernels.data),
                b_batch=kernels.batch_stride,
                b_panel=kernels.panel_stride,
                taps=taps,
                tap_count=kernels.taps,
                depth=kernels.depth,
                no_bias=zeros,
            )
            continue
        table.add(t.WINOGRAD_INPUT, **work, **given)
        _multiply(
            table,
            kernels,
            plain,
            batches=positions,
            row_count=groups,
            pixels=size,
            pixel=BLOCK,
            chunk=_chunk(groups, positions * kernels.panels),
            claim=positions * kernels.batch_stride >= CLAIM_BYTES,
            a=call.workspace,
            a_batch=position,
            a_row=group,
            c=products,
            c_batch=position,
            c_row=group,
            c_plane=plane,
            taps=taps,
            bias=zeros,
        )
        table.add(t.WINOGRAD_OUTPUT, **work, **wanted, slope=call.slope, final=call.final)
