"""Convolutions -> operations."""

from __future__ import annotations

import numpy as np

from ...layers import Shape
from ...layers.convolutional import Convolutional
from . import table as t
from .arena import address, round_up
from .builder import Table
from .isa import BLOCK, COLUMNS, ROWS, UNROLL
from .kernels import Kernels, blocks
from .products import Call, chunk, multiply, plain_strides
from .select import Choice, bundle
from .winograd import lower_winograd, winograd_workspace


def workspace_size(choice: Choice, layer: Convolutional, images: int, source: Shape, shape: Shape, threads: int) -> int:
    """Bytes that `lower_convolution` needs besides source and target."""
    if choice.tile:
        return winograd_workspace(choice, layer, images, source, shape, threads)
    if choice.name == "strassen_1x1":
        return threads * _pairs(source, threads)[1]
    height, width = _padded(layer)
    if choice.name == "direct_pixels":
        return images * height * (width + _slack(source.channels)) * source.channels * 4
    return images * blocks(source.channels) * height * width * choice.cell if (height, width) != source[1:] else 0


def _padded(layer: Convolutional) -> tuple[int, int]:
    """Height and width of the input with its edges."""
    (above, below), (left, right) = layer.edges
    _, height, width = layer.input_shapes[0]
    return above + height + below, left + width + right


def _slack(channels: int) -> int:
    """Pixels of zeros after a row of unblocked ones, for a tap whose depth is rounded up."""
    return -(-(UNROLL - 1) // channels)


def lower_convolution(table: Table, choice: Choice, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    """The operations of a convolution by the implementation `choice`."""
    if choice.tile:
        lower_winograd(table, choice, layer, kernels, call)
    elif choice.name == "strassen_1x1":
        _lower_quarters(table, kernels, call)
    elif choice.name == "direct_pixels":
        _lower_pixels(table, layer, kernels, call)
    else:
        _lower_direct(table, layer, kernels, call)


def _lower_direct(table: Table, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    source, shape, cell = call.source_shape, call.shape, kernels.cell
    start, plane = call.source, call.source_plane
    height, width = _padded(layer)
    padded = (height, width) != source[1:]
    if padded:
        table.add(
            t.PAD,
            a=start,
            c=call.workspace,
            blocks=blocks(source.channels),
            images=call.images,
            height=source.height,
            width=source.width,
            padding=layer.padding,
            out_height=height,
            out_width=width,
        )
        start, plane = call.workspace, call.images * height * width * cell
    together = bundle(layer)
    assert together is not None
    batches = layer.groups // together
    into, out = blocks(source.channels // batches), blocks(shape.channels // batches)
    side = np.arange(layer.size)
    cells = (side[:, None] * width + side).ravel() * cell
    taps = (np.arange(into)[:, None] * plane + cells).ravel().astype(np.int64)
    # Rows of one picture, and pictures, lie one after another; where no edge parts them, they are one long row.
    whole = layer.size == 1 and layer.stride == 1 and not padded
    rows, pixels = (1, call.images * shape.height * shape.width) if whole else (shape.height, shape.width)
    tiles = rows * -(-pixels // ROWS)
    for image in range(1 if whole else call.images):
        multiply(
            table,
            kernels,
            call,
            image,
            batches=batches,
            row_count=rows,
            pixels=pixels,
            pixel=layer.stride * cell,
            chunk=chunk(tiles, kernels.panels * batches),
            a=start + image * height * width * cell,
            a_batch=into * plane,
            a_row=layer.stride * width * cell,
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


def _lower_pixels(table: Table, layer: Convolutional, kernels: Kernels, call: Call) -> None:
    source, shape = call.source_shape, call.shape
    height, width = _padded(layer)
    width += _slack(source.channels)
    table.add(
        t.TO_PIXELS,
        a=call.source,
        **plain_strides(call),
        c=call.workspace,
        channels=source.channels,
        images=call.images,
        height=source.height,
        width=source.width,
        padding=layer.padding,
        out_height=height,
        out_width=width,
    )
    row = width * source.channels * 4
    taps = np.arange(layer.size, dtype=np.int64) * row
    tiles = shape.height * -(-shape.width // ROWS)
    for image in range(call.images):
        multiply(
            table,
            kernels,
            call,
            image,
            row_count=shape.height,
            pixels=shape.width,
            pixel=layer.stride * source.channels * 4,
            chunk=chunk(tiles, kernels.panels),
            a=call.workspace + image * height * row,
            a_row=layer.stride * row,
            taps=table.keep(taps),
        )
