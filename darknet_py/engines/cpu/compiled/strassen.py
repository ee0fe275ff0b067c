"""1 x 1 convolutions by Strassen's algorithm: 7 products of quarters of the matrices instead of 8.

Source: Strassen, Gaussian Elimination is not Optimal, 1969, in Winograd's form with 15 additions.
"""

from __future__ import annotations

from numba import float32

from .. import operations as o
from ..isa import BLOCK, COLUMNS, LANES
from . import kernel
from .bending import bend_cells
from .gemm import find_part
from .microkernel import multiply_adjacent
from .sync import next_item, share_out
from .vector import activated, broadcast, load, store


@kernel
def multiply_quarters(op: o.Strassen, slope, final, share):
    """Pixels at A (two halves of a picture) times weights, to C; an item is a group of pairs of pixels.

    A pixel and its partner, `pixels` // 2 further on, are the rows of the quarters. B is
    [panel][product][block][LANES][columns][LANES], the second factors; BIAS, [panel][product][columns][LANES], has
    biases of products, which add up to those of outputs. `taps` are the offsets of the blocks of half the channels from
    A, `sum_taps` those from sums in the thread's own memory: TILES and PRODUCTS are thread 0's, `thread_bytes` before
    the next thread's.
    """
    pixels, groups, size = op.pixels, op.groups, op.group_size
    first_half = (pixels + 1) // 2
    apart = (pixels - first_half) * BLOCK
    small, larger = divmod(first_half, groups)
    blocks = op.blocks // 2
    across = blocks * op.a_plane
    thread = share.thread
    sums, products = op.tiles + thread * op.thread_bytes, op.products + thread * op.thread_bytes
    sum_bytes, product_bytes, bias_bytes = blocks * size * BLOCK, COLUMNS * size * BLOCK, COLUMNS * BLOCK
    queue = share_out(share, op.images * groups)
    item = next_item(queue)
    while item >= 0:
        image, group = divmod(item, groups)
        first, count = find_part(group, small, larger)
        place = (image * pixels + first) * BLOCK
        a = op.a + place
        for block in range(blocks):
            _sum(a + block * op.a_plane, across, apart, count, sums + block * size * BLOCK, sum_bytes)
        for panel in range(op.panels):
            for product in range(7):
                taps, factor = op.taps, a
                if product == 1:
                    factor = a + across
                elif product == 2:
                    factor = a + across + apart
                elif product > 2:
                    taps, factor = op.sum_taps, sums + (product - 3) * sum_bytes
                number = panel * 7 + product
                b = op.b + number * op.b_panel
                multiply_adjacent(
                    BLOCK, count, COLUMNS, factor, taps, blocks, LANES, b, b + op.b_panel, BLOCK,
                    products + product * product_bytes, size * BLOCK, BLOCK, op.bias + number * bias_bytes,
                    float32(1), 0, float32(1),
                )  # fmt: skip
            for column in range(COLUMNS):
                s, to = products + column * size * BLOCK, (panel * COLUMNS + column) * op.c_plane + place
                # If there is an odd number of pixels, the first one's partner is also the first of another pair.
                _combine(op, slope, final, s, product_bytes, count, pixels % 2 if first == 0 else 0, to)
        item = next_item(queue)


@kernel
def _sum(s, across, apart, count, d, ds):
    """The first factors that are sums of quarters, for a block of `count` pairs of pixels at `s`, `ds` apart at `d`."""
    for i in range(0, count * BLOCK, BLOCK):
        a11, a12 = load(s + i), load(s + across + i)
        a21, a22 = load(s + apart + i), load(s + apart + across + i)
        s1 = a21 + a22
        s2 = s1 - a11
        store(d + i, s1)
        store(d + ds + i, s2)
        store(d + 2 * ds + i, a11 - a21)
        store(d + 3 * ds + i, a12 - s2)


@kernel
def _combine(op: o.Strassen, slope, final, s, ss, count, alone, to):
    """Combine products of `count` pairs, `alone` without partner, at `s`, `ss` apart, in a block `to` bytes from C."""
    pixels = op.pixels
    apart, across = (pixels // 2) * BLOCK, op.out_blocks // 2 * op.c_plane
    c, residual = op.c + to, op.residual + to if op.residual != 0 else 0
    slopes, finals = broadcast(slope), broadcast(final)
    for i in range(0, count * BLOCK, BLOCK):
        m1, m2, m4 = load(s + i), load(s + ss + i), load(s + 2 * ss + i)
        m5, m6 = load(s + 3 * ss + i), load(s + 4 * ss + i)
        m7, m3 = load(s + 5 * ss + i), load(s + 6 * ss + i)
        u2 = m1 + m6
        u3, u5 = u2 + m7, u2 + m5
        _finish(c, residual, i, slopes, finals, m1 + m2)
        _finish(c, residual, i + across, slopes, finals, u5 + m3)
        if i >= alone * BLOCK:
            _finish(c, residual, i + apart, slopes, finals, u3 - m4)
            _finish(c, residual, i + apart + across, slopes, finals, u3 + m5)
    if op.curve != 0:
        bend_cells(op.curve, c, count, 2, across, BLOCK)
        if count > alone:
            bend_cells(op.curve, c + apart + alone * BLOCK, count - alone, 2, across, BLOCK)


@kernel
def _finish(c, residual, to, slopes, finals, value):
    """Activate `value`, add the residual if there is one, and store it `to` bytes from `c`."""
    value = activated(value, slopes)
    if residual != 0:
        value = activated(value + load(residual + to), finals)
    store(c + to, value)
