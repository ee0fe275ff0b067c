"""Convolutions in small groups, depthwise ones first, on blocked pictures: as they lie, or copied with edges."""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK
from . import kernel
from .bending import bend_cells
from .cells import load_cell, sum_cells
from .grouped_microkernel import sum_windows
from .sync import next_item, share_out
from .vector import broadcast, store


@kernel
def convolve_groups(op, slope, final, share):
    """Run a `GROUPED` operation; `ITEM_ROWS` rows of a picture's block an item.

    At PADDED of thread 0, `THREAD_BYTES` before the next one's, is room for a copy of an item's pixels with padding.
    ROW_SUMS gets the sum of each row of a picture's block: a mean that read the picture anew would take it from the
    cores that wrote it. On two without a common cache efficientnet_b0 took 5.7 ms for 6.1.
    """
    tall, wide = op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    bands = (tall + op[t.ITEM_ROWS] - 1) // op[t.ITEM_ROWS]
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * bands)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, band = divmod(row, bands)
        picture = block * op[t.IMAGES] + image
        start = band * op[t.ITEM_ROWS]
        end = min(start + op[t.ITEM_ROWS], tall)
        if op[t.PADDED] != 0:
            _convolve_padded(op, slope, final, picture, start, end, op[t.PADDED] + share.thread * op[t.THREAD_BYTES])
        else:
            _convolve_in_place(op, slope, final, picture, start, end)
        # While the first cache has them.
        out_cell = op[t.OUT_CELL]
        d = op[t.C] + (picture * tall + start) * wide * out_cell
        if op[t.CURVE] != 0:
            bend_cells(op[t.CURVE], d, (end - start) * wide, 1, 0, out_cell)
        if op[t.ROW_SUMS] != 0:
            for y in range(end - start):
                total = sum_cells(d + y * wide * out_cell, wide, out_cell)
                store(op[t.ROW_SUMS] + (picture * tall + start + y) * BLOCK, total)
        item = next_item(queue)


@kernel
def _convolve_padded(op, slope, final, picture, start, end, copy):
    """Rows `start` to `end` of a picture's block, whose pixels are copied first, with padding; all windows are alike.

    At 7 x 7 most windows lie at an edge: 960 channels took 20 us on two cores in strips of those alike.
    """
    h, w, size, stride, padding = op[t.HEIGHT], op[t.WIDTH], op[t.SIZE], op[t.STRIDE], op[t.PADDING]
    cell, out_cell, wide, zero = op[t.CELL], op[t.OUT_CELL], op[t.OUT_WIDTH], broadcast(float32(0))
    rows, columns = (end - start - 1) * stride + size, (wide - 1) * stride + size
    first, last = min(padding, columns), min(padding + w, columns)
    for row in range(rows):
        y, d = start * stride + row - padding, copy + row * columns * BLOCK
        a = op[t.A] + (picture * h + y) * w * cell
        inside = 0 <= y < h
        for x in range(first if inside else columns):
            store(d + x * BLOCK, zero)
        if inside:
            for x in range(first, last):
                store(d + x * BLOCK, load_cell(a + (x - padding) * cell, cell))
            for x in range(last, columns):
                store(d + x * BLOCK, zero)
    block, row_bytes = picture // op[t.IMAGES], columns * BLOCK
    weights = size * op[t.GROUP_CHANNELS] * BLOCK
    offset = (picture * op[t.OUT_HEIGHT] + start) * wide * out_cell
    sum_windows(
        op[t.GROUP_CHANNELS], stride, BLOCK, end - start, stride * row_bytes, wide * out_cell, wide, stride * BLOCK,
        out_cell, copy, size, row_bytes, size, op[t.B] + block * size * weights, weights, op[t.C] + offset, out_cell,
        op[t.BIAS] + block * BLOCK, slope, op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0, final,
    )  # fmt: skip


@kernel
def _convolve_in_place(op, slope, final, picture, start, end):
    """The same of pixels where they lie.

    Windows that the picture's edges cut have fewer taps. Those alike lie along the edges: columns of them are strips
    from row to row, all else strips along rows.
    """
    h, w, tall, wide, size = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH], op[t.SIZE]
    upper, lower = _whole(h, tall, size, op[t.STRIDE], op[t.PADDING])
    left, right = _whole(w, wide, size, op[t.STRIDE], op[t.PADDING])
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
    """The first window that lies whole on a side, and the first after it that does not, of `count`."""
    first = min((padding + stride - 1) // stride, count)
    return first, max(first, min((side + padding - size) // stride + 1, count))


@kernel
def _convolve_strips(op, slope, final, picture, y, x, lines, count, down):
    """`lines` rows of `count` pixels, or one such column, from row `y` and column `x` on, whose windows are alike."""
    if lines <= 0 or count <= 0:
        return
    h, w, size, stride, padding = op[t.HEIGHT], op[t.WIDTH], op[t.SIZE], op[t.STRIDE], op[t.PADDING]
    cell, out_cell, wide = op[t.CELL], op[t.OUT_CELL], op[t.OUT_WIDTH]
    top, left = y * stride - padding, x * stride - padding
    first_row, first_column = max(0, -top), max(0, -left)
    rows, columns = min(size, h - top) - first_row, min(size, w - left) - first_column
    a = op[t.A] + ((picture * h + top + first_row) * w + left + first_column) * cell
    block = picture // op[t.IMAGES]
    b = op[t.B] + (block * size * size + first_row * size + first_column) * op[t.GROUP_CHANNELS] * BLOCK
    offset = ((picture * op[t.OUT_HEIGHT] + y) * wide + x) * out_cell
    pixel, c_pixel = stride * cell, out_cell
    if down:
        pixel, c_pixel = pixel * w, c_pixel * wide
    sum_windows(
        op[t.GROUP_CHANNELS], 0 if down else stride, cell, lines, stride * w * cell, wide * out_cell, count, pixel,
        c_pixel, a, rows, w * cell, columns, b, size * op[t.GROUP_CHANNELS] * BLOCK, op[t.C] + offset, out_cell,
        op[t.BIAS] + block * BLOCK, slope, op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0, final,
    )  # fmt: skip
