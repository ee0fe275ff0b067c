"""Pictures from one layout to another.

Plain: (images, channels, height, width). Blocked: (blocks, images, height, width, LANES), channel c in lane
c % LANES of block c // LANES, lanes past the last channel zero. Pixels: (images, height, width, channels).
"""

from __future__ import annotations

from numba import float32

from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .cells import load_cell, load_lane, store_cell
from .sync import next_item, share_out
from .vector import broadcast, load, load_scalar, store, store_scalar


@kernel
def pad(op, share):
    """Blocked pictures at A to C, zeros round them; a row of a picture's block an item.

    C's are `OUT_HEIGHT` x `OUT_WIDTH`, and their row and column `PADDING` are the first of A's.
    """
    h, w, p, cell = op[t.HEIGHT], op[t.WIDTH], op[t.PADDING], op[t.CELL]
    tall, wide = op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    zero = broadcast(float32(0))
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES] * tall)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op[t.BLOCKS])
        image, y = divmod(row, tall)
        picture = block * op[t.IMAGES] + image
        s, d = op[t.A] + (picture * h + y - p) * w * cell, op[t.C] + (picture * tall + y) * wide * cell
        first, last = (p, p + w) if 0 <= y - p < h else (wide, wide)
        for x in range(first):
            store_cell(d + x * cell, zero, cell)
        for x in range(first, last):
            store_cell(d + x * cell, load_cell(s + (x - first) * cell, cell), cell)
        for x in range(last, wide):
            store_cell(d + x * cell, zero, cell)
        item = next_item(queue)


@kernel
def crop(op, alpha, beta, share):
    """alpha * A + beta from row `TOP` and column `LEFT` on, to plain pictures at C; a row of a channel an item.

    `A_BATCH`, `A_BLOCK`, `A_PLANE`, `A_ROW` and `PIXEL` are the strides of images, of LANES channels, of one, of rows
    and of pixels.
    """
    channels, tall, wide = op[t.CHANNELS], op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    pixel, cell = op[t.PIXEL], op[t.CELL]
    queue = share_out(share, op[t.IMAGES] * channels * tall)
    item = next_item(queue)
    while item >= 0:
        picture, y = divmod(item, tall)
        image, c = divmod(picture, channels)
        block, lane = divmod(c, LANES)
        s = op[t.A] + image * op[t.A_BATCH] + block * op[t.A_BLOCK] + lane * op[t.A_PLANE]
        s += (op[t.TOP] + y) * op[t.A_ROW] + op[t.LEFT] * pixel
        d = op[t.C] + item * wide * 4
        for x in range(wide):
            store_scalar(d + x * 4, load_lane(s + x * pixel, cell) * alpha + beta)
        item = next_item(queue)


@kernel
def to_pixels(op, share):
    """Pictures at A to pixels at C, zeros round them; a row an item.

    `A_BATCH`, `A_PLANE`, `A_ROW` and `PIXEL` are the strides of images, channels, rows and pixels.
    C's are `OUT_HEIGHT` x `OUT_WIDTH`, and their row and column `PADDING` are the first of A's.
    """
    h, w, p, channels = op[t.HEIGHT], op[t.WIDTH], op[t.PADDING], op[t.CHANNELS]
    tall, wide = op[t.OUT_HEIGHT], op[t.OUT_WIDTH]
    queue = share_out(share, op[t.IMAGES] * tall)
    item = next_item(queue)
    while item >= 0:
        image, row = divmod(item, tall)
        y = row - p
        d = op[t.C] + item * wide * channels * 4
        s = op[t.A] + image * op[t.A_BATCH] + y * op[t.A_ROW]
        pixel, plane, cell = op[t.PIXEL], op[t.A_PLANE], op[t.CELL]
        first, last = (p, p + w) if 0 <= y < h else (wide, wide)
        for i in range(first * channels):
            store_scalar(d + i * 4, float32(0))
        for c in range(channels):  # pixel by pixel it took 2.7 times as long
            to, at = d + (first * channels + c) * 4, s + c * plane
            for x in range(last - first):
                store_scalar(to + x * channels * 4, load_lane(at + x * pixel, cell))
        for i in range(last * channels, wide * channels):
            store_scalar(d + i * 4, float32(0))
        item = next_item(queue)


@kernel
def to_phases(op, share):
    """Pictures at A, zeros round them, to blocked pictures of their phases at C; a row of a picture an item.

    `A_BATCH`, `A_PLANE`, `A_ROW` and `PIXEL` are the strides of images, channels, rows and pixels. Phase (y, x) has
    every `STRIDE`-th row and column from y and x on, `PADDING` before A's first; its channels follow those of the
    phases before it.
    """
    h, w, p, stride, channels = op[t.HEIGHT], op[t.WIDTH], op[t.PADDING], op[t.STRIDE], op[t.CHANNELS]
    tall, wide, images = op[t.OUT_HEIGHT], op[t.OUT_WIDTH], op[t.IMAGES]
    zero = broadcast(float32(0))
    queue = share_out(share, images * tall)
    item = next_item(queue)
    while item >= 0:
        image, row = divmod(item, tall)
        for block in range(op[t.BLOCKS]):
            d = op[t.C] + (block * images * tall + item) * wide * BLOCK
            for x in range(wide):
                store(d + x * BLOCK, zero)
            for lane in range(min(LANES, channels * stride * stride - block * LANES)):
                phase, c = divmod(block * LANES + lane, channels)
                y, left = row * stride + phase // stride - p, phase % stride - p
                if 0 <= y < h:
                    s = op[t.A] + image * op[t.A_BATCH] + c * op[t.A_PLANE] + y * op[t.A_ROW]
                    pixel, cell = op[t.PIXEL], op[t.CELL]
                    first = max(0, (stride - 1 - left) // stride)
                    last = min(wide, (w - left + stride - 1) // stride)
                    for x in range(first, last):
                        value = load_lane(s + (x * stride + left) * pixel, cell)
                        store_scalar(d + x * BLOCK + lane * 4, value)
        item = next_item(queue)


@kernel
def to_blocks(op, scratch, share):
    """Plain pictures at A to blocked ones at C; a picture's block an item. `scratch` holds a register."""
    size, channels, cell = op[t.HEIGHT] * op[t.WIDTH], op[t.CHANNELS], op[t.OUT_CELL]
    queue = share_out(share, op[t.BLOCKS] * op[t.IMAGES])
    item = next_item(queue)
    while item >= 0:
        block, image = divmod(item, op[t.IMAGES])
        for i in range(size):
            for lane in range(LANES):
                c = block * LANES + lane
                s = op[t.A] + ((image * channels + c) * size + i) * 4
                store_scalar(scratch + lane * 4, load_scalar(s) if c < channels else float32(0))
            store_cell(op[t.C] + (item * size + i) * cell, load(scratch), cell)
        item = next_item(queue)


@kernel
def flatten(op, share):
    """Blocked pictures of `CELLS` cells at A to pictures of one at C, [block][cell][image][LANES]; a block an item."""
    cells, images, cell = op[t.CELLS], op[t.IMAGES], op[t.CELL]
    queue = share_out(share, op[t.BLOCKS])
    item = next_item(queue)
    while item >= 0:
        for image in range(images):
            for i in range(cells):
                s = op[t.A] + ((item * images + image) * cells + i) * cell
                store_cell(op[t.C] + ((item * cells + i) * images + image) * cell, load_cell(s, cell), cell)
        item = next_item(queue)
