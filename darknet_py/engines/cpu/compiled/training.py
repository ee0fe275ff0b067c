"""The operations that only training has."""

from __future__ import annotations

from .. import table as t
from .deltas import (
    add_delta,
    add_shortcut_delta,
    multiply_cells,
    pool_average_delta,
    pool_maximum_delta,
    spread,
    to_plain,
)
from .gradients import add_gradients, sum_products
from .normalization import bend_delta, fold_delta, fold_measures, measure, normalize, normalize_delta
from .record import integers_at, numbers_at
from .rows import multiply_rows
from .sync import Share
from .updates import update_adam, update_sgd


def train(integers, floats, scratch, counters, thread, threads):
    """Do a thread's share of the operation whose rows are at these addresses; return 0."""
    op, numbers, share = integers_at(integers), numbers_at(floats), Share(counters, thread, threads)
    slope, code = numbers.slope, op.opcode
    if code == t.MULTIPLY_ROWS_OP:
        multiply_rows(op, scratch, share)
    elif code == t.SUM_PRODUCTS_OP:
        sum_products(op, share)
    elif code == t.ADD_GRADIENTS_OP:
        add_gradients(op, scratch, share)
    elif code == t.MEASURE_OP:
        measure(op, share)
    elif code == t.FOLD_MEASURES_OP:
        fold_measures(op, numbers.to_variance, numbers.to_deviation, share)
    elif code == t.NORMALIZE_OP:
        normalize(op, slope, share)
    elif code == t.BEND_DELTA_OP:
        bend_delta(op, slope, share)
    elif code == t.FOLD_DELTA_OP:
        fold_delta(op, numbers.to_variance, numbers.to_deviation, share)
    elif code == t.NORMALIZE_DELTA_OP:
        normalize_delta(op, share)
    elif code == t.ADD_DELTA_OP:
        add_delta(op, numbers.alpha, share)
    elif code == t.SHORTCUT_DELTA_OP:
        add_shortcut_delta(op, numbers.beta, share)
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
    return 0
