"""Convolutions in small groups, such as depthwise ones, on blocked pictures: in place, or copied with padding."""

from __future__ import annotations

from numba import float32

from .. import operations as o
from ..isa import BLOCK
from . import kernel
from .bending import bend_cells
from .cells import load_cell, sum_cells
from .grouped_microkernel import sum_windows
from .sync import next_item, share_out
from .vector import broadcast, store


@kernel
def convolve_groups(op: o.Grouped, slope, final, share):
    """Run a `GROUPED` operation; an item is `item_rows` rows of a picture's block.

    PADDED is thread 0's room for a copy of an item's pixels with padding, `thread_bytes` before the next thread's.
    ROW_SUMS gets the sum of each row of a picture's block: a mean that read the picture again would fetch it from the
    cores that wrote it. On two cores without a common cache efficientnet_b0 took 5.7 ms instead of 6.1.
    """
    tall, wide = op.out_height, op.out_width
    bands = (tall + op.item_rows - 1) // op.item_rows
    queue = share_out(share, op.blocks * op.images * bands)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op.blocks)
        image, band = divmod(row, bands)
        picture = block * op.images + image
        start = band * op.item_rows
        end = min(start + op.item_rows, tall)
        if op.padded != 0:
            _convolve_padded(op, slope, final, picture, start, end, op.padded + share.thread * op.thread_bytes)
        else:
            _convolve_in_place(op, slope, final, picture, start, end)
        # While the rows are in the L1 cache.
        out_cell = op.out_cell
        d = op.c + (picture * tall + start) * wide * out_cell
        if op.curve != 0:
            bend_cells(op.curve, d, (end - start) * wide, 1, 0, out_cell)
        if op.row_sums != 0:
            for y in range(end - start):
                total = sum_cells(d + y * wide * out_cell, wide, out_cell)
                store(op.row_sums + (picture * tall + start + y) * BLOCK, total)
        item = next_item(queue)


@kernel
def _convolve_padded(op: o.Grouped, slope, final, picture, start, end, copy):
    """Rows `start` to `end` of a picture's block, whose pixels are copied first, with padding: all windows are alike.

    At 7 x 7 most windows are at an edge: 960 channels took 20 us on two cores in strips of windows that are cut alike.
    """
    h, w, size, stride, padding = op.height, op.width, op.size, op.stride, op.padding
    cell, out_cell, wide, zero = op.cell, op.out_cell, op.out_width, broadcast(float32(0))
    rows, columns = (end - start - 1) * stride + size, (wide - 1) * stride + size
    first, last = min(padding, columns), min(padding + w, columns)
    for row in range(rows):
        y, d = start * stride + row - padding, copy + row * columns * BLOCK
        a = op.a + (picture * h + y) * w * cell
        inside = 0 <= y < h
        for x in range(first if inside else columns):
            store(d + x * BLOCK, zero)
        if inside:
            for x in range(first, last):
                store(d + x * BLOCK, load_cell(a + (x - padding) * cell, cell))
            for x in range(last, columns):
                store(d + x * BLOCK, zero)
    block, row_bytes = picture // op.images, columns * BLOCK
    weights = size * op.group_channels * BLOCK
    offset = (picture * op.out_height + start) * wide * out_cell
    sum_windows(
        op.group_channels, stride, BLOCK, end - start, stride * row_bytes, wide * out_cell, wide, stride * BLOCK,
        out_cell, copy, size, row_bytes, size, op.b + block * size * weights, weights, op.c + offset, out_cell,
        op.bias + block * BLOCK, slope, op.residual + offset if op.residual != 0 else 0, final,
    )  # fmt: skip


@kernel
def _convolve_in_place(op: o.Grouped, slope, final, picture, start, end):
    """The same, with pixels read in place.

    Windows that the picture's edges cut have fewer taps. Those cut alike are along the edges: at the left and right
    they are computed in strips down the columns, all others in strips along rows.
    """
    h, w, tall, wide, size = op.height, op.width, op.out_height, op.out_width, op.size
    upper, lower = _whole(h, tall, size, op.stride, op.padding)
    left, right = _whole(w, wide, size, op.stride, op.padding)
    first = min(max(start, upper), end)
    last = max(first, min(end, lower))
    _convolve_strips(op, slope, final, picture, first, left, last - first, right - left, False)
    for i in range(first - start + end - last):
        y = start + i if start + i < first else last + i - (first - start)
        _convolve_strips(op, slope, final, picture, y, left, 1, right - left, False)
    for i in range(left + wide - right):
        x = i if i < left else right + i - left
        for y in range(start, first):
            _convolve_strips(op, slope, final, picture, y, x, 1, 1, True)
        _convolve_strips(op, slope, final, picture, first, x, 1, last - first, True)
        for y in range(last, end):
            _convolve_strips(op, slope, final, picture, y, x, 1, 1, True)


@kernel
def _whole(side, count, size, stride, padding):
    """The first of `count` windows along a side that no edge cuts, and the first after it that one does."""
    first = min((padding + stride - 1) // stride, count)
    return first, max(first, min((side + padding - size) // stride + 1, count))


@kernel
def _convolve_strips(op: o.Grouped, slope, final, picture, y, x, lines, count, down):
    """`lines` rows of `count` pixels, or one such column, from row `y` and column `x` on, whose windows are alike."""
    if lines <= 0 or count <= 0:
        return
    h, w, size, stride, padding = op.height, op.width, op.size, op.stride, op.padding
    cell, out_cell, wide = op.cell, op.out_cell, op.out_width
    top, left = y * stride - padding, x * stride - padding
    first_row, first_column = max(0, -top), max(0, -left)
    rows, columns = min(size, h - top) - first_row, min(size, w - left) - first_column
    a = op.a + ((picture * h + top + first_row) * w + left + first_column) * cell
    block = picture // op.images
    b = op.b + (block * size * size + first_row * size + first_column) * op.group_channels * BLOCK
    offset = ((picture * op.out_height + y) * wide + x) * out_cell
    pixel, c_pixel = stride * cell, out_cell
    if down:
        pixel, c_pixel = pixel * w, c_pixel * wide
    sum_windows(
        op.group_channels, 0 if down else stride, cell, lines, stride * w * cell, wide * out_cell, count, pixel,
        c_pixel, a, rows, w * cell, columns, b, size * op.group_channels * BLOCK, op.c + offset, out_cell,
        op.bias + block * BLOCK, slope, op.residual + offset if op.residual != 0 else 0, final,
    )  # fmt: skip
