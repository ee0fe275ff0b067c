"""Winograd's convolution of few channels, plane by plane, stride 1: all tiles are whole."""

from __future__ import annotations

from numba import float32

from .. import operations as o
from .. import table as t
from ..arena import LINE
from ..isa import BLOCK, LANES
from . import kernel
from .cells import load_lane
from .planar_microkernel import M, N, multiply_planar_tiles, transform_planar_lines
from .sync import next_item, share_out
from .transforms import transform_input_lines, which_transform
from .vector import broadcast, load, prefetch_line, store, store_scalar
from .winograd import store_outputs

ROW = (M + 1) * BLOCK  # bytes of the pixels of LANES tiles, and more
PIXELS = ROW // 4


@kernel
def _find_group(op: o.PlanarWinograd, item):
    """The image, top row and left column of a group's outputs, and how many tiles of a row it has: up to LANES."""
    groups = (op.tile_columns + LANES - 1) // LANES
    row, group = divmod(item, groups)
    image, tile_row = divmod(row, op.tile_rows)
    return image, tile_row * M, group * LANES * M, min(LANES, op.tile_columns - group * LANES)


@kernel
def _copy_rows(op: o.PlanarWinograd, s, top, left, d):
    """Copy N rows of a picture's channel at `s`, from `top` and `left` on, to `d`; zeros where they are outside it."""
    h, w, pixel, cell = op.height, op.width, op.pixel, op.cell
    first, last = min(max(-left, 0), PIXELS), max(min(PIXELS, w - left), 0)
    zero = broadcast(float32(0))
    for y in range(N):
        line, row = d + y * ROW, s + (top + y) * op.a_row + left * pixel
        inside = 0 <= top + y < h
        if first > 0 or last < PIXELS or not inside:
            for x in range(M + 1):
                store(line + x * BLOCK, zero)
        if not inside:
            continue
        if pixel == 4 and last - first >= LANES:
            for x in range(first, last - LANES, LANES):
                store(line + x * 4, load(row + x * 4))
            store(line + (last - LANES) * 4, load(row + (last - LANES) * 4))
        else:
            for x in range(first, last):
                store_scalar(line + x * 4, load_lane(row + x * pixel, cell))


@kernel
def _fetch_rows(op: o.PlanarWinograd, item):
    """Prefetch what the group `item` reads of plain pictures, except the rows that the group above it reads, too.

    A picture comes from memory, and rows are too short for the processor's own prefetching: a first layer of 16 filters
    at 224 x 224 took 0.29 ms instead of 0.37.
    """
    image, top, left, _ = _find_group(op, item)
    for c in range(op.channels):
        s = op.a + image * op.a_batch + c * op.a_plane + (left - op.padding) * 4
        for y in range(N - M, N):
            row = s + (top - op.padding + y) * op.a_row
            for x in range(0, M * BLOCK, LINE):
                prefetch_line(row + x)


@kernel
def _transform_inputs(op: o.PlanarWinograd, image, top, left, tiles, rows):
    """A group's tiles, of all channels, to `tiles`: [column][channel][row][LANES tiles].

    All rows are copied to `rows` before any is transformed: a load that overlaps with what was just stored, but is not
    of the same bytes, would wait for it.
    """
    channels, whole = op.channels, which_transform(N, N, 0)
    half = rows + channels * N * ROW
    for c in range(channels):
        s = op.a + image * op.a_batch + c * op.a_plane
        _copy_rows(op, s, top - op.padding, left - op.padding, rows + c * N * ROW)
    for c in range(channels):
        transform_input_lines(whole, M + 1, rows + c * N * ROW, ROW, BLOCK, half, ROW, BLOCK)
        transform_planar_lines(N, half, ROW, tiles + c * N * BLOCK, channels * N * BLOCK)


@kernel
def convolve_planar(op: o.PlanarWinograd, slope, final, share):
    """Run a `PLANAR_WINOGRAD` operation in the thread's own memory; an item is up to LANES tiles of a row.

    A is as for `to_pixels`, B is [block][column][channel][row][LANES], RESIDUAL and C are as for `transform_output`.
    TILES and PRODUCTS are thread 0's, `thread_bytes` before the next thread's: room for a group's tiles, and for pixels
    and then products.
    """
    own = share.thread * op.thread_bytes
    tiles, products = op.tiles + own, op.products + own
    row_groups = (op.tile_columns + LANES - 1) // LANES
    queue = share_out(share, op.images * op.tile_rows * row_groups)
    item = next_item(queue)
    while item >= 0:
        image, top, left, count = _find_group(op, item)
        _transform_inputs(op, image, top, left, tiles, products)
        if op.pixel == 4:
            _fetch_rows(op, item + row_groups)
        height = min(M, op.out_height - top)
        for block in range(op.out_blocks):
            b = op.b + block * op.b_panel
            for first in range(0, count, t.PLANAR_COUNT):
                together = min(t.PLANAR_COUNT, count - first)
                multiply_planar_tiles(together, op.channels, tiles + first * 4, b, products)
                for i in range(together):
                    x = left + (first + i) * M
                    width = min(M, op.out_width - x)
                    across = which_transform(N, N if width == M else 0, width)
                    outputs = image, top, x, height, width
                    store_outputs(op, slope, final, block, outputs, across, products + i * M * N * BLOCK, N * BLOCK)
        item = next_item(queue)
