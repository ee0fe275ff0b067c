"""Updates of parameters, in one pass over memory; each number is rounded as NumPy rounds it.

No product joins a sum here: `fma` rounds once where NumPy rounds twice.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32
from numba.core import cgutils
from numba.extending import intrinsic

from .. import table as t
from ..isa import BLOCK, LANES
from . import kernel
from .sync import next_item, share_out
from .vector import REGISTER, broadcast, load, load_scalar, maximum, store, store_scalar, vector

STRETCH = 256  # registers of each array an item


@intrinsic
def divide(context: Any, a: Any, b: Any) -> Any:
    """a / b, lane by lane."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.fdiv(*args)

    return vector(vector, vector), codegen


@intrinsic
def square_root(context: Any, a: Any) -> Any:
    """The root of each lane."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        signature = ir.FunctionType(REGISTER, [REGISTER])
        return build.call(cgutils.get_or_insert_function(build.module, signature, f"llvm.sqrt.v{LANES}f32"), args)

    return vector(vector), codegen


@kernel
def clip(x, limit):
    """Each lane between -`limit` and `limit`; not a number where it is not."""
    minus = broadcast(float32(-1))
    return maximum(limit * minus, maximum(limit * minus, x) * minus) * minus


@kernel
def copy(source, target, count):
    """So many float32."""
    for i in range(count):
        store_scalar(target + i * 4, load_scalar(source + i * 4))


@kernel
def follow_sgd(values, gradients, decay, rate, momentum, limit):
    """Update a register at `values`; what comes behind the addresses are registers."""
    x = load(values)
    sums = load(gradients) - decay * x
    store(values, clip(x + rate * sums, limit))
    store(gradients, sums * momentum)


@kernel
def update_sgd(op, numbers, scratch, share):
    """See the operation; `STRETCH` registers an item. `scratch` holds a register of each array."""
    count, values, gradients = op[t.COUNT], op[t.VALUES], op[t.GRADIENTS]
    decay, rate = broadcast(load_scalar(numbers + t.DECAY * 4)), broadcast(load_scalar(numbers + t.RATE * 4))
    momentum, limit = broadcast(load_scalar(numbers + t.MOMENTUM * 4)), broadcast(load_scalar(numbers + t.LIMIT * 4))
    queue = share_out(share, (count + STRETCH * LANES - 1) // (STRETCH * LANES))
    item = next_item(queue)
    while item >= 0:
        i, last = item * STRETCH * LANES, min(count, (item + 1) * STRETCH * LANES)
        while i + LANES <= last:
            follow_sgd(values + i * 4, gradients + i * 4, decay, rate, momentum, limit)
            i += LANES
        if i < last:
            copy(values + i * 4, scratch, last - i)
            copy(gradients + i * 4, scratch + BLOCK, last - i)
            follow_sgd(scratch, scratch + BLOCK, decay, rate, momentum, limit)
            copy(scratch, values + i * 4, last - i)
            copy(scratch + BLOCK, gradients + i * 4, last - i)
        item = next_item(queue)


@kernel
def follow_moment(place, x, kept, taken, whole):
    """Let the moment in the register at `place` follow `x`; what it is divided by the share of `x` in it."""
    moment = load(place) * kept + taken * x
    store(place, moment)
    return divide(moment, whole)


@kernel
def follow_adam(values, gradients, first, second, numbers):
    """Update a register at `values`, by the numbers of the operation."""
    x = load(values)
    sums = load(gradients) - broadcast(load_scalar(numbers + t.DECAY * 4)) * x
    mean = follow_moment(
        first,
        sums,
        broadcast(load_scalar(numbers + t.FIRST_KEPT * 4)),
        broadcast(load_scalar(numbers + t.FIRST_TAKEN * 4)),
        broadcast(load_scalar(numbers + t.FIRST_WHOLE * 4)),
    )
    square = follow_moment(
        second,
        sums * sums,
        broadcast(load_scalar(numbers + t.SECOND_KEPT * 4)),
        broadcast(load_scalar(numbers + t.SECOND_TAKEN * 4)),
        broadcast(load_scalar(numbers + t.SECOND_WHOLE * 4)),
    )
    spread = square_root(square) + broadcast(load_scalar(numbers + t.LEAST * 4))
    step = divide(broadcast(load_scalar(numbers + t.RATE * 4)) * mean, spread)
    store(values, clip(x + step, broadcast(load_scalar(numbers + t.LIMIT * 4))))
    store(gradients, broadcast(float32(0)))


@kernel
def update_adam(op, numbers, scratch, share):
    """See the operation; `STRETCH` registers an item. `scratch` holds a register of each array."""
    count, values, gradients = op[t.COUNT], op[t.VALUES], op[t.GRADIENTS]
    first, second = op[t.FIRST], op[t.SECOND]
    queue = share_out(share, (count + STRETCH * LANES - 1) // (STRETCH * LANES))
    item = next_item(queue)
    while item >= 0:
        i, last = item * STRETCH * LANES, min(count, (item + 1) * STRETCH * LANES)
        while i + LANES <= last:
            follow_adam(values + i * 4, gradients + i * 4, first + i * 4, second + i * 4, numbers)
            i += LANES
        if i < last:
            copy(values + i * 4, scratch, last - i)
            copy(gradients + i * 4, scratch + BLOCK, last - i)
            copy(first + i * 4, scratch + 2 * BLOCK, last - i)
            copy(second + i * 4, scratch + 3 * BLOCK, last - i)
            follow_adam(scratch, scratch + BLOCK, scratch + 2 * BLOCK, scratch + 3 * BLOCK, numbers)
            copy(scratch, values + i * 4, last - i)
            copy(scratch + BLOCK, gradients + i * 4, last - i)
            copy(scratch + 2 * BLOCK, first + i * 4, last - i)
            copy(scratch + 3 * BLOCK, second + i * 4, last - i)
        item = next_item(queue)
