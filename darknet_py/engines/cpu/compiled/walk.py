"""The compiled walk through a plan's table."""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from . import kernel
from .curves import scale, scale_channels
from .deltas import (
    add_delta,
    add_shortcut_delta,
    multiply_cells,
    pool_average_delta,
    pool_maximum_delta,
    spread,
    to_plain,
)
from .gemm import multiply
from .gradients import add_gradients, sum_products
from .grouped import convolve_groups
from .moves import crop, flatten, pad, to_blocks, to_phases, to_pixels
from .normalization import bend_delta, fold_delta, fold_measures, measure, normalize, normalize_delta
from .packing import pack, pack_winograd
from .pooling import add, pool_average, pool_maximum
from .rows import multiply_rows
from .softmax import softmax
from .strassen import multiply_quarters
from .stretch import begin_stretch, pass_barrier
from .sync import Share, cycles, exchange, int64s
from .updates import update_adam, update_sgd
from .vector import load_scalar
from .winograd import convolve, transform_input, transform_output


@kernel
def walk(call, row, mailbox, scratch, thread, threads):
    """Run the operations of a table from a row on, with `threads` - 1 other callers; return the row behind the last.

    Between operations all wait for all: what one writes, the next reads. At the end of the table only `thread` 0
    waits. A stretch of a walk ends earlier, for all, where fewer threads or more are to go on with it.

    The counters of items for the first row are zero. At CLOCK, unless 0, each thread tells when it starts and when it
    has done its share of each operation, in cycles.
    """
    fields = int64s(call, t.CALL_FIELDS)
    rows, counters = fields[t.ROWS], mailbox + 2 * LINE
    timed = fields[t.CLOCK] != 0
    clock = int64s(fields[t.CLOCK] + thread * (rows + 1) * 8, rows + 1)
    if timed and row == 0:
        clock[0] = cycles()
    barrier = begin_stretch(mailbox, threads)
    while row < rows:
        i = row
        op = int64s(fields[t.TABLE] + i * t.FIELDS * 8, t.FIELDS)
        share = Share(counters + i % 2 * LINE, thread, threads)
        # Nobody is at the operation before any more, and the next one has its counters.
        exchange(counters + thread * t.LINES * LINE + (i + 1) % 2 * LINE, 0)
        numbers = fields[t.NUMBERS_AT] + i * t.FLOATS * 4
        slope, final = load_scalar(numbers + t.SLOPE * 4), load_scalar(numbers + t.FINAL * 4)
        code = op[t.OPCODE]
        if code == t.GEMM_OP:
            multiply(op, slope, final, share)
        elif code == t.MULTIPLY_ROWS_OP:
            multiply_rows(op, scratch, share)
        elif code == t.STRASSEN_OP:
            multiply_quarters(op, slope, final, share)
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
            alpha, beta = load_scalar(numbers + t.ALPHA * 4), load_scalar(numbers + t.BETA * 4)
            add(op, alpha, beta, slope, share)
        elif code == t.SCALE_OP:
            scale(op, slope, share)
        elif code == t.SCALE_CHANNELS_OP:
            scale_channels(op, slope, share)
        elif code == t.GROUPED_OP:
            convolve_groups(op, slope, final, share)
        elif code == t.CROP_OP:
            crop(op, load_scalar(numbers + t.ALPHA * 4), load_scalar(numbers + t.BETA * 4), share)
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
            softmax(op, load_scalar(numbers + t.INVERSE_TEMPERATURE * 4), share)
        elif code == t.PACK_OP:
            pack(op, share)
        elif code == t.PACK_WINOGRAD_OP:
            pack_winograd(op, scratch, share)
        elif code == t.SUM_PRODUCTS_OP:
            sum_products(op, share)
        elif code == t.ADD_GRADIENTS_OP:
            add_gradients(op, scratch, share)
        elif code == t.MEASURE_OP:
            measure(op, share)
        elif code == t.FOLD_MEASURES_OP:
            fold_measures(
                op, load_scalar(numbers + t.TO_VARIANCE * 4), load_scalar(numbers + t.TO_DEVIATION * 4), share
            )
        elif code == t.NORMALIZE_OP:
            normalize(op, slope, share)
        elif code == t.BEND_DELTA_OP:
            bend_delta(op, slope, share)
        elif code == t.FOLD_DELTA_OP:
            fold_delta(op, load_scalar(numbers + t.TO_VARIANCE * 4), load_scalar(numbers + t.TO_DEVIATION * 4), share)
        elif code == t.NORMALIZE_DELTA_OP:
            normalize_delta(op, share)
        elif code == t.ADD_DELTA_OP:
            add_delta(op, load_scalar(numbers + t.ALPHA * 4), share)
        elif code == t.SHORTCUT_DELTA_OP:
            add_shortcut_delta(op, load_scalar(numbers + t.BETA * 4), share)
        elif code == t.MULTIPLY_CELLS_OP:
            multiply_cells(op, share)
        elif code == t.MAX_POOL_DELTA_OP:
            pool_maximum_delta(op, share)
        elif code == t.AVG_POOL_DELTA_OP:
            pool_average_delta(op, share)
        elif code == t.SPREAD_OP:
            spread(op, share)
        elif code == t.TO_PLAIN_OP:
            to_plain(op, scratch, share)
        elif code == t.UPDATE_SGD_OP:
            update_sgd(op, numbers, scratch, share)
        elif code == t.UPDATE_ADAM_OP:
            update_adam(op, numbers, scratch, share)
        if timed:
            clock[i + 1] = cycles()
        row += 1
        barrier = pass_barrier(barrier, mailbox, row, rows, thread)
        if barrier.over:
            break
    return row
