"""Updates of parameters, in one pass over memory; each number is rounded as NumPy rounds it.

Products and sums are not fused here: `fma` rounds once where NumPy rounds twice.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32
from numba.core import cgutils
from numba.extending import intrinsic

from .. import operations as o
from ..isa import BLOCK, LANES
from . import kernel
from .sync import next_item, share_out
from .vector import REGISTER, broadcast, load, load_scalar, maximum, store, store_scalar, vector

STRETCH = 256  # registers of each array in an item


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
    """Each lane, limited to -`limit` to `limit`; NaN stays NaN."""
    minus = broadcast(float32(-1))
    return maximum(limit * minus, maximum(limit * minus, x) * minus) * minus


@kernel
def copy(source, target, count):
    """Copy `count` float32."""
    for i in range(count):
        store_scalar(target + i * 4, load_scalar(source + i * 4))


@kernel
def follow_sgd(values, gradients, decay, rate, momentum, limit):
    """Update a register at `values`; the arguments after the addresses are registers."""
    x = load(values)
    sums = load(gradients) - decay * x
    store(values, clip(x + rate * sums, limit))
    store(gradients, sums * momentum)


@kernel
def update_sgd(op: o.UpdateSgd, numbers: o.UpdateSgd, scratch, share):
    """See the operation; an item is `STRETCH` registers. `scratch` holds a register of each array."""
    count, values, gradients = op.count, op.values, op.gradients
    decay, rate = broadcast(numbers.decay), broadcast(numbers.rate)
    momentum, limit = broadcast(numbers.momentum), broadcast(numbers.limit)
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
    """Let the moment in the register at `place` follow `x`; return it divided by `whole`."""
    moment = load(place) * kept + taken * x
    store(place, moment)
    return divide(moment, whole)


@kernel
def follow_adam(values, gradients, first, second, numbers: o.UpdateAdam):
    """Update a register at `values`, by the operation's numbers."""
    x = load(values)
    sums = load(gradients) - broadcast(numbers.decay) * x
    first_kept, first_taken = broadcast(numbers.first_kept), broadcast(numbers.first_taken)
    mean = follow_moment(first, sums, first_kept, first_taken, broadcast(numbers.first_whole))
    second_kept, second_taken = broadcast(numbers.second_kept), broadcast(numbers.second_taken)
    square = follow_moment(second, sums * sums, second_kept, second_taken, broadcast(numbers.second_whole))
    spread = square_root(square) + broadcast(numbers.least)
    step = divide(broadcast(numbers.rate) * mean, spread)
    store(values, clip(x + step, broadcast(numbers.limit)))
    store(gradients, broadcast(float32(0)))


@kernel
def update_adam(op: o.UpdateAdam, numbers: o.UpdateAdam, scratch, share):
    """See the operation; an item is `STRETCH` registers. `scratch` holds a register of each array."""
    count, values, gradients = op.count, op.values, op.gradients
    first, second = op.first, op.second
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
