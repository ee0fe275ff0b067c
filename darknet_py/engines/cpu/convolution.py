"""Convolutions and connected layers -> operations: kernels packed at load, products and transforms at each run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...layers import Array, Shape
from ...layers.convolutional import Convolutional
from . import table as t
from .arena import address, aligned
from .builder import Table
from .isa import ISA
from .microkernel import BLOCK, COLUMNS
from .select import Choice, bundle
from .vector import LANES
from .winograd import KERNEL_TRANSFORMS

WINOGRAD_CHUNK = 4 << 20  # bytes of transformed tiles that are worked on at a time
ITEMS = 16  # of work, at least, for each operation
TILES_PER_ITEM = 24


def blocks(channels: int) -> int:
    """How many registers hold `channels`."""
    return -(-channels // LANES)


@dataclass(frozen=True)
class Kernels:
    """A layer's kernels in the micro-kernel's order, [batch][panel][tap][depth][columns][LANES], and its biases.

    Strides are in bytes.
    """

    data: npt.NDArray[np.uint8]
    bias: Array
    panels: int
    last_columns: int
    panel_stride: int
    batch_stride: int
    depth: int
    taps: int


def _allocate(bias: Array, out_channels: int, batches: int, taps: int, depth: int, bundles: int = 1) -> Kernels:
    columns = blocks(out_channels)
    panels = -(-columns // COLUMNS)
    panel_stride = taps * depth * COLUMNS * BLOCK
    batch_stride = taps * depth * columns * BLOCK
    padded = np.zeros(bundles * columns * LANES, np.float32)
    padded[: len(bias)] = bias
    data = aligned(batches * batch_stride)
    last = columns - (panels - 1) * COLUMNS
    return Kernels(data, padded, panels, last, panel_stride, batch_stride, depth, taps)


def pack_matrix(table: Table, kernels: Array, factor: Array, bias: Array) -> Kernels:
    """Kernels (out channels, channels, taps) for products over blocks of channels and taps."""
    out_channels, channels, taps = kernels.shape
    packed = _allocate(bias, out_channels, 1, blocks(channels) * taps, LANES)
    _pack(table, packed, kernels, factor, packed.data)
    return packed


def pack_kernels(
    table: Table, choice: Choice, layer: Convolutional, kernels: Array, factor: Array, bias: Array
) -> Kernels:
    """The kernels of a convolution in the order that `choice` wants; the work is done when `table` has run."""
    oc, ic, size, _ = kernels.shape
    if choice.tile:
        return _pack_winograd(table, choice.tile, kernels, factor, bias)
    if choice.name == "direct_pixels":
        return _pack_pixels(kernels, factor, bias)
    together = bundle(layer)
    assert together is not None
    if layer.groups == 1:
        return pack_matrix(table, kernels.reshape(oc, ic, size * size), factor, bias)
    batches, out, into = layer.groups // together, oc // layer.groups, together * ic
    packed = _allocate(bias, together * out, batches, blocks(into) * size * size, LANES, batches)
    for batch in range(batches):
        dense = np.zeros((together * out, into, size * size), np.float32)
        first = batch * together * out
        for group in range(together):
            rows = slice(group * out, (group + 1) * out)
            source = kernels[first + group * out : first + (group + 1) * out]
            dense[rows, group * ic : (group + 1) * ic] = source.reshape(out, ic, -1)
        start = batch * packed.batch_stride
        _pack(table, packed, dense, factor[first : first + together * out], packed.data[start:])
    return packed


def _pack(table: Table, packed: Kernels, kernels: Array, factor: Array, target: npt.NDArray[np.uint8]) -> None:
    out_channels, channels, taps = kernels.shape
    table.add(
        t.PACK,
        a=table.keep(kernels),
        a_batch=kernels.strides[0],
        a_plane=kernels.strides[1],
        a_row=kernels.strides[2],
        b=address(target),
        b_panel=packed.panel_stride,
        panels=packed.panels,
        last_columns=packed.last_columns,
        channels=channels,
        out_channels=out_channels,
        size=taps,
        residual=table.keep(np.ascontiguousarray(factor)),
    )


def _pack_winograd(table: Table, m: int, kernels: Array, factor: Array, bias: Array) -> Kernels:
    oc, ic = kernels.shape[:2]
    packed = _allocate(bias, oc, (m + 2) ** 2, blocks(ic), LANES)
    transform = np.ascontiguousarray(KERNEL_TRANSFORMS[m], np.float32)
    table.add(
        t.PACK_WINOGRAD,
        a=table.keep(np.ascontiguousarray(kernels)),
        b=address(packed.data),
        b_panel=packed.panel_stride,
        b_batch=packed.batch_stride,
        panels=packed.panels,
        last_columns=packed.last_columns,
        channels=ic,
        out_channels=oc,
        out_tile=m,
        residual=table.keep(np.ascontiguousarray(factor)),
        taps=table.keep(transform),
    )
    return packed


def _pack_pixels(kernels: Array, factor: Array, bias: Array) -> Kernels:
    """A tap is a row of the kernel: its columns and channels lie together in unblocked pictures."""
    oc, ic, size, _ = kernels.shape
    depth = -(-size * ic // 4) * 4
    packed = _allocate(bias, oc, 1, size, depth)
    rows = np.zeros((blocks(oc) * LANES, size, depth), np.float32)
    rows[:oc, :, : size * ic] = (kernels * factor.reshape(-1, 1, 1, 1)).transpose(0, 2, 3, 1).reshape(oc, size, -1)
    for panel in range(packed.panels):
        first = panel * COLUMNS * LANES
        part = rows[first : first + COLUMNS * LANES].transpose(1, 2, 0)
        data = packed.data[panel * packed.panel_stride :].view(np.float32)
        data[: part.size] = part.ravel()
    return packed


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
    plain: bool = False

    @property
    def source_plane(self) -> int:
        """Bytes from a block of the source's channels to the next."""
        return self.images * self.source_shape.height * self.source_shape.width * BLOCK

    @property
    def plane(self) -> int:
        """Bytes from a block of the target's channels to the next."""
        return self.images * self.shape.height * self.shape.width * BLOCK


def workspace_size(choice: Choice, layer: Convolutional, images: int, source: Shape, shape: Shape) -> int:
    """Bytes that `lower_convolution` needs besides source and target."""
    if choice.tile:
        _, columns, chunk = _winograd_tiles(choice.tile, images, source, shape)
        return (choice.tile + 2) ** 2 * chunk * columns * (blocks(source.channels) + blocks(shape.channels)) * BLOCK
    height, width = source.height + 2 * layer.padding, source.width + 2 * layer.padding
    if choice.name == "direct_pixels":
        return images * height * (width + _slack(source.channels)) * source.channels * 4
    return images * blocks(source.channels) * height * width * BLOCK if layer.padding else 0


def _slack(channels: int) -> int:
    """Pixels of zeros after a row of unblocked ones, for a tap whose depth is rounded up."""
    return -(-3 // channels)


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
        _lower_winograd(table, choice.tile, layer.padding, kernels, call)
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
    tiles = rows * -(-pixels // ISA.rows)
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


def _lower_pixels(table: Table, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    source, shape, p = call.source_shape, call.shape, layer.padding
    pixel, plane = (4, source.height * source.width * 4) if call.plain else (BLOCK, 4)
    images = source.channels * plane if call.plain else source.height * source.width * BLOCK
    strides = dict(a_batch=images, a_plane=plane, a_row=source.width * pixel, pixel=pixel)
    height, width = source.height + 2 * p, source.width + 2 * p + _slack(source.channels)
    table.add(
        t.TO_PIXELS,
        a=call.source,
        **strides,
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
    tiles = shape.height * -(-shape.width // ISA.rows)
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


def _winograd_tiles(m: int, images: int, source: Shape, shape: Shape) -> tuple[int, int, int]:
    """Rows of tiles in all images, tiles in a row, and how many rows are worked on at a time."""
    rows, columns = images * -(-shape.height // m), -(-shape.width // m)
    row_bytes = (m + 2) ** 2 * columns * (blocks(source.channels) + blocks(shape.channels)) * BLOCK
    turns = -(-rows // max(1, WINOGRAD_CHUNK // row_bytes))
    return rows, columns, -(-rows // turns)


def _lower_winograd(table: Table, m: int, padding: int, kernels: Kernels, call: Call) -> None:
    source, shape = call.source_shape, call.shape
    all_rows, columns, at_a_time = _winograd_tiles(m, call.images, source, shape)
    positions, into, out = (m + 2) ** 2, blocks(source.channels), blocks(shape.channels)
    zeros = table.keep(np.zeros(out * LANES, np.float32))
    plain = replace(call, residual=0, slope=1, final=1)  # biases and activations come after the transform
    for first in range(0, all_rows, at_a_time):
        rows = min(at_a_time, all_rows - first)
        tiles = rows * columns
        plane = tiles * BLOCK
        products = call.workspace + positions * into * plane
        tiling = dict(
            row_count=rows, first_row=first, tile_rows=-(-shape.height // m), tile_columns=columns, out_tile=m
        )
        table.add(
            t.WINOGRAD_INPUT,
            **tiling,
            a=call.source,
            a_plane=call.source_plane,
            blocks=into,
            height=source.height,
            width=source.width,
            padding=padding,
            c=call.workspace,
            c_batch=into * plane,
            c_plane=plane,
        )
        _multiply(
            table,
            kernels,
            plain,
            batches=positions,
            pixels=tiles,
            pixel=BLOCK,
            chunk=TILES_PER_ITEM,
            a=call.workspace,
            a_batch=into * plane,
            c=products,
            c_batch=out * plane,
            c_plane=plane,
            taps=table.keep(np.arange(into, dtype=np.int64) * plane),
            bias=zeros,
        )
        table.add(
            t.WINOGRAD_OUTPUT,
            **tiling,
            a=products,
            a_batch=out * plane,
            a_plane=plane,
            blocks=out,
            height=shape.height,
            width=shape.width,
            c=call.target,
            c_plane=call.plane,
            bias=address(kernels.bias),
            residual=call.residual,
            slope=call.slope,
            final=call.final,
        )
