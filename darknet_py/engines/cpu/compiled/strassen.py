"""1 x 1 convolutions by Strassen's algorithm: 7 products of quarters of the matrices for 8.

Source: Strassen, Gaussian Elimination is not Optimal, 1969, in Winograd's form with 15 additions.
"""

from __future__ import annotations

from numba import float32, njit

from .. import table as t
from ..isa import BLOCK, COLUMNS, LANES
from .gemm import multiply_tile
from .sync import next_item
from .vector import activated, broadcast, load, store


@njit(nogil=True)
def multiply_quarters(op, slope, final, thread, counter):
    """Pixels at A (two halves of a picture) times kernels, to C; a group of pairs of pixels an item.

    A pixel and its partner, `PIXELS` - `PIXELS` // 2 further on, are the rows of the quarters. B is
    [panel][product][block][LANES][columns][LANES], the second factors. `TAPS` are the offsets of the blocks of half the
    channels from A, `SUM_TAPS` from sums in memory that is the thread's own: TILES and PRODUCTS are thread 0's,
    `THREAD_BYTES` before the next one's. NO_BIAS is a panel of zeros.
    """
    pixels, size = op[t.PIXELS], op[t.GROUP_SIZE]
    first_half = (pixels + 1) // 2
    apart = (pixels - first_half) * BLOCK
    groups = (first_half + size - 1) // size
    blocks, out_blocks = op[t.BLOCKS] // 2, op[t.OUT_BLOCKS] // 2
    across, out_across = blocks * op[t.A_PLANE], out_blocks * op[t.C_PLANE]
    sums, products = op[t.TILES] + thread * op[t.THREAD_BYTES], op[t.PRODUCTS] + thread * op[t.THREAD_BYTES]
    sum_bytes, product_bytes = blocks * size * BLOCK, COLUMNS * size * BLOCK
    slopes, finals = broadcast(slope), broadcast(final)
    item = next_item(counter)
    while item < op[t.IMAGES] * groups:
        image, group = divmod(item, groups)
        first = group * size
        count = min(size, first_half - first)
        a = op[t.A] + (image * pixels + first) * BLOCK
        for block in range(blocks):
            s, d = a + block * op[t.A_PLANE], sums + block * size * BLOCK
            for i in range(0, count * BLOCK, BLOCK):
                a11, a12 = load(s + i), load(s + across + i)
                a21, a22 = load(s + apart + i), load(s + apart + across + i)
                s1 = a21 + a22
                s2 = s1 - a11
                store(d + i, s1)
                store(d + sum_bytes + i, s2)
                store(d + 2 * sum_bytes + i, a11 - a21)
                store(d + 3 * sum_bytes + i, a12 - s2)
        for panel in range(op[t.PANELS]):
            for product in range(7):
                taps, factor = op[t.TAPS], a
                if product == 1:
                    factor = a + across
                elif product == 2:
                    factor = a + across + apart
                elif product > 2:
                    taps, factor = op[t.SUM_TAPS], sums + (product - 3) * sum_bytes
                b = op[t.B] + (panel * 7 + product) * op[t.B_PANEL]
                multiply_tile(
                    count, COLUMNS, factor, taps, blocks, LANES, b, b + op[t.B_PANEL], BLOCK,
                    products + product * product_bytes, size * BLOCK, op[t.NO_BIAS], float32(1), 0, float32(1),
                )  # fmt: skip
            for column in range(COLUMNS):
                block = panel * COLUMNS + column
                bias1 = load(op[t.BIAS] + block * BLOCK)
                bias2 = load(op[t.BIAS] + (out_blocks + block) * BLOCK)
                for i in range(count):
                    s = products + (column * size + i) * BLOCK
                    m1, m2, m4 = load(s), load(s + product_bytes), load(s + 2 * product_bytes)
                    m5, m6 = load(s + 3 * product_bytes), load(s + 4 * product_bytes)
                    m7, m3 = load(s + 5 * product_bytes), load(s + 6 * product_bytes)
                    u2 = m1 + m6
                    u3 = u2 + m7
                    to = block * op[t.C_PLANE] + (image * pixels + first + i) * BLOCK
                    _finish(op, slopes, finals, to, m1 + m2 + bias1)
                    _finish(op, slopes, finals, to + out_across, u2 + m5 + m3 + bias2)
                    if first + i + pixels - first_half >= first_half:  # the middle pixel of an odd number is alone
                        _finish(op, slopes, finals, to + apart, u3 - m4 + bias1)
                        _finish(op, slopes, finals, to + apart + out_across, u3 + m5 + bias2)
        item = next_item(counter)


@njit(nogil=True)
def _finish(op, slopes, finals, to, value):
    """Activate `value`, add the residual, and store it `to` bytes from C."""
    value = activated(value, slopes)
    if op[t.RESIDUAL] != 0:
        value = activated(value + load(op[t.RESIDUAL] + to), finals)
    store(op[t.C] + to, value)
