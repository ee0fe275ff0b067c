"""The compiled walk through a plan's table."""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from .apart import train
from .gemm import multiply
from .grouped import convolve_groups
from .moves import crop, flatten, pad, to_blocks, to_phases, to_pixels
from .packing import pack, pack_winograd
from .planar_winograd import convolve_planar
from .pooling import add, pool_average, pool_maximum
from .record import integers_at, numbers_at
from .scaling import scale, scale_channels
from .softmax import softmax
from .strassen import multiply_quarters
from .stretch import begin_stretch, pass_barrier
from .sync import Share, cycles, exchange, int64s
from .winograd import convolve, transform_input, transform_output


def walk(call, row, mailbox, scratch, thread, threads):
    """Run the operations of a table from a row on, with `threads` - 1 other callers; return the row after the last.

    Between operations all threads wait for each other: what one operation writes, the next reads. At the end of the
    table only `thread` 0 waits. A stretch of a walk ends earlier, for all, where fewer or more threads are to go on.

    The counters of items for the first row must be zero. At CLOCK, unless 0, each thread records when it starts and
    when it has done its share of each operation, in cycles.
    """
    fields = int64s(call)
    rows, counters = fields[t.ROWS], mailbox + 2 * LINE
    timed = fields[t.CLOCK] != 0
    clock = int64s(fields[t.CLOCK] + thread * (rows + 1) * 8)
    if timed and row == 0:
        clock[0] = cycles()
    barrier = begin_stretch(mailbox, threads)
    while row < rows:
        integers, floats = fields[t.TABLE] + row * t.FIELDS * 8, fields[t.NUMBERS_AT] + row * t.FLOATS * 4
        op, numbers = integers_at(integers), numbers_at(floats)
        share = Share(counters + row % 2 * LINE, thread, threads)
        # No thread is still at the operation before, whose counters the next one uses.
        exchange(counters + thread * t.LINES * LINE + (row + 1) % 2 * LINE, 0)
        slope, final, code = numbers.slope, numbers.final, op.opcode
        if code == t.GEMM_OP:
            multiply(op, slope, final, share)
        elif code == t.STRASSEN_OP:
            multiply_quarters(op, slope, final, share)
        elif code == t.PLANAR_WINOGRAD_OP:
            convolve_planar(op, slope, final, share)
        elif code == t.WINOGRAD_INPUT_OP:
            transform_input(op, scratch, share)
        elif code == t.WINOGRAD_OUTPUT_OP:
            transform_output(op, slope, final, scratch, share)
        elif code == t.WINOGRAD_OP:
            convolve(op, slope, final, scratch, share)
        elif code == t.MAX_POOL_OP:
            pool_maximum(op, share)
        elif code == t.AVG_POOL_OP:
            pool_average(op, share)
        elif code == t.ADD_OP:
            add(op, numbers.alpha, numbers.beta, slope, share)
        elif code == t.SCALE_OP:
            scale(op, slope, share)
        elif code == t.SCALE_CHANNELS_OP:
            scale_channels(op, slope, share)
        elif code == t.GROUPED_OP:
            convolve_groups(op, slope, final, share)
        elif code == t.CROP_OP:
            crop(op, numbers.alpha, numbers.beta, share)
        elif code == t.PAD_OP:
            pad(op, share)
        elif code == t.TO_PIXELS_OP:
            to_pixels(op, share)
        elif code == t.TO_PHASES_OP:
            to_phases(op, share)
        elif code == t.TO_BLOCKS_OP:
            to_blocks(op, scratch, share)
        elif code == t.FLATTEN_OP:
            flatten(op, share)
        elif code == t.SOFTMAX_OP:
            softmax(op, numbers.inverse_temperature, share)
        elif code == t.PACK_OP:
            pack(op, share)
        elif code == t.PACK_WINOGRAD_OP:
            pack_winograd(op, scratch, share)
        else:
            train(integers, floats, scratch, share.counters, thread, threads)
        if timed:
            clock[row + 1] = cycles()
        row += 1
        barrier = pass_barrier(barrier, mailbox, row, rows, thread)
        if barrier.over:
            break
    return row
