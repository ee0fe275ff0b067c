"""Pictures from one layout to another.

Plain: (images, channels, height, width). Blocked: (blocks, images, height, width, LANES), channel c in lane
c % LANES of block c // LANES, lanes past the last channel zero. Pixels: (images, height, width, channels).
"""

from __future__ import annotations

from numba import float32

from .. import operations as o
from ..isa import BLOCK, LANES
from . import kernel
from .cells import load_cell, load_lane, store_cell
from .sync import next_item, share_out
from .vector import broadcast, load, load_scalar, store, store_scalar


@kernel
def pad(op: o.Pad, share):
    """Blocked pictures at A to C, with zeros around them; an item is a row of a picture's block.

    C's are `out_height` x `out_width`, and A's first row and column become their row and column `padding`.
    """
    h, w, p, cell = op.height, op.width, op.padding, op.cell
    tall, wide = op.out_height, op.out_width
    zero = broadcast(float32(0))
    queue = share_out(share, op.blocks * op.images * tall)
    item = next_item(queue)
    while item >= 0:
        row, block = divmod(item, op.blocks)
        image, y = divmod(row, tall)
        picture = block * op.images + image
        s, d = op.a + (picture * h + y - p) * w * cell, op.c + (picture * tall + y) * wide * cell
        first, last = (p, p + w) if 0 <= y - p < h else (wide, wide)
        for x in range(first):
            store_cell(d + x * cell, zero, cell)
        for x in range(first, last):
            store_cell(d + x * cell, load_cell(s + (x - first) * cell, cell), cell)
        for x in range(last, wide):
            store_cell(d + x * cell, zero, cell)
        item = next_item(queue)


@kernel
def crop(op: o.Crop, alpha, beta, share):
    """alpha * A + beta from row `top` and column `left` on, to plain pictures at C; an item is a row of a channel.

    `a_batch`, `a_block`, `a_plane`, `a_row` and `pixel` are the strides of images, of LANES channels, of one channel,
    of rows and of pixels.
    """
    channels, tall, wide = op.channels, op.out_height, op.out_width
    pixel, cell = op.pixel, op.cell
    queue = share_out(share, op.images * channels * tall)
    item = next_item(queue)
    while item >= 0:
        picture, y = divmod(item, tall)
        image, c = divmod(picture, channels)
        block, lane = divmod(c, LANES)
        s = op.a + image * op.a_batch + block * op.a_block + lane * op.a_plane
        s += (op.top + y) * op.a_row + op.left * pixel
        d = op.c + item * wide * 4
        for x in range(wide):
            store_scalar(d + x * 4, load_lane(s + x * pixel, cell) * alpha + beta)
        item = next_item(queue)


@kernel
def to_pixels(op: o.ToPixels, share):
    """Pictures at A to pixels at C, with zeros around them; an item is a row.

    `a_batch`, `a_plane`, `a_row` and `pixel` are the strides of images, channels, rows and pixels.
    C's are `out_height` x `out_width`, and A's first row and column become their row and column `padding`.
    """
    h, w, p, channels = op.height, op.width, op.padding, op.channels
    tall, wide = op.out_height, op.out_width
    queue = share_out(share, op.images * tall)
    item = next_item(queue)
    while item >= 0:
        image, row = divmod(item, tall)
        y = row - p
        d = op.c + item * wide * channels * 4
        s = op.a + image * op.a_batch + y * op.a_row
        pixel, plane, cell = op.pixel, op.a_plane, op.cell
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
def to_phases(op: o.ToPhases, share):
    """Pictures at A, with zeros around them, to blocked pictures of their phases at C; an item is a picture's row.

    `a_batch`, `a_plane`, `a_row` and `pixel` are the strides of images, channels, rows and pixels. Phase (y, x) has
    every `stride`-th row and column from y and x on, counted from `padding` before A's first; its channels follow
    those of the phases before it.
    """
    h, w, p, stride, channels = op.height, op.width, op.padding, op.stride, op.channels
    tall, wide, images = op.out_height, op.out_width, op.images
    zero = broadcast(float32(0))
    queue = share_out(share, images * tall)
    item = next_item(queue)
    while item >= 0:
        image, row = divmod(item, tall)
        for block in range(op.blocks):
            d = op.c + (block * images * tall + item) * wide * BLOCK
            for x in range(wide):
                store(d + x * BLOCK, zero)
            for lane in range(min(LANES, channels * stride * stride - block * LANES)):
                phase, c = divmod(block * LANES + lane, channels)
                y, left = row * stride + phase // stride - p, phase % stride - p
                if 0 <= y < h:
                    s = op.a + image * op.a_batch + c * op.a_plane + y * op.a_row
                    pixel, cell = op.pixel, op.cell
                    first = max(0, (stride - 1 - left) // stride)
                    last = min(wide, (w - left + stride - 1) // stride)
                    for x in range(first, last):
                        value = load_lane(s + (x * stride + left) * pixel, cell)
                        store_scalar(d + x * BLOCK + lane * 4, value)
        item = next_item(queue)


@kernel
def to_blocks(op: o.ToBlocks, scratch, share):
    """Plain pictures at A to blocked ones at C; an item is a picture's block. `scratch` holds a register."""
    size, channels, cell = op.height * op.width, op.channels, op.out_cell
    queue = share_out(share, op.blocks * op.images)
    item = next_item(queue)
    while item >= 0:
        block, image = divmod(item, op.images)
        for i in range(size):
            for lane in range(LANES):
                c = block * LANES + lane
                s = op.a + ((image * channels + c) * size + i) * 4
                store_scalar(scratch + lane * 4, load_scalar(s) if c < channels else float32(0))
            store_cell(op.c + (item * size + i) * cell, load(scratch), cell)
        item = next_item(queue)


@kernel
def flatten(op: o.Flatten, share):
    """Blocked pictures of `cells` cells at A to pictures of one at C, [block][cell][image][LANES]; blocks are items."""
    cells, images, cell = op.cells, op.images, op.cell
    queue = share_out(share, op.blocks)
    item = next_item(queue)
    while item >= 0:
        for image in range(images):
            for i in range(cells):
                s = op.a + ((item * images + image) * cells + i) * cell
                store_cell(op.c + ((item * cells + i) * images + image) * cell, load_cell(s, cell), cell)
        item = next_item(queue)
