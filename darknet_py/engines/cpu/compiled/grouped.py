"""Convolutions in small groups, depthwise ones first, on blocked pictures as they lie, edges and all."""

from __future__ import annotations

from .. import table as t
from ..isa import BLOCK, ROWS
from . import kernel
from .cells import load_cell, store_cell
from .curves import bend
from .grouped_microkernel import sum_windows
from .sync import next_item, share_out


@kernel
def convolve_groups(op, slope, final, share):
    """Run a `GROUPED` operation; `ITEM_ROWS` rows of a picture's block an item.

    Windows that the picture's edges cut have fewer taps. Those alike lie along the edges: columns of them are strips
    from row to row, all else strips along a row.
    """
    h, w, tall, wide, size = op[t.HEIGHT], op[t.WIDTH], op[t.OUT_HEIGHT], op[t.OUT_WIDTH], op[t.SIZE]
    upper, lower = _whole(h, tall, size, op[t.STRIDE], op[t.PADDING])
    left, right = _whole(w, wide, size, op[t.STRIDE], op[t.PADDING])
    bands = (tall + op[t.ITEM_ROWS] - 1) // op[t.ITEM_ROWS]
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * bands)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, band = divmod(row, bands)
        picture = block * op[t.IMAGES] + image
        start = band * op[t.ITEM_ROWS]
        end = min(start + op[t.ITEM_ROWS], tall)
        for y in range(start, end):
            _convolve_strip(op, slope, final, picture, y, left, right - left, False)
        first, last = min(max(start, upper), end), max(min(end, lower), start)
        for i in range(left + wide - right):
            x = i if i < left else right + i - left
            for y in range(start, first):
                _convolve_strip(op, slope, final, picture, y, x, 1, True)
            _convolve_strip(op, slope, final, picture, first, x, last - first, True)
            for y in range(max(first, last), end):
                _convolve_strip(op, slope, final, picture, y, x, 1, True)
        if op[t.CURVE]:  # while the first cache has them
            d = op[t.C] + (picture * tall + start) * wide * op[t.OUT_CELL]
            for i in range((end - start) * wide):
                value = load_cell(d + i * op[t.OUT_CELL], op[t.OUT_CELL])
                store_cell(d + i * op[t.OUT_CELL], bend(op[t.CURVE], slope, value), op[t.OUT_CELL])
        item = next_item(queue)


@kernel
def _whole(side, count, size, stride, padding):
    """The first window that lies whole on a side, and the first after it that does not, of `count`."""
    first = min((padding + stride - 1) // stride, count)
    return first, max(first, min((side + padding - size) // stride + 1, count))


@kernel
def _convolve_strip(op, slope, final, picture, y, x, count, down):
    """`count` pixels from row `y` and column `x` on, down or along the row; their windows have the same taps."""
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
    done = 0
    while done < count:
        tiles = (count - done + ROWS - 1) // ROWS
        pixels = (count - done + tiles - 1) // tiles
        c = op[t.C] + offset
        residual = op[t.RESIDUAL] + offset if op[t.RESIDUAL] != 0 else 0
        sum_windows(
            op[t.GROUP_CHANNELS], 0 if down else stride, cell, pixels, pixel, c_pixel, a, rows, w * cell, columns, b,
            size * op[t.GROUP_CHANNELS] * BLOCK, c, out_cell, op[t.BIAS] + block * BLOCK, slope, residual, final,
        )  # fmt: skip
        a += pixels * pixel
        offset += pixels * c_pixel
        done += pixels
