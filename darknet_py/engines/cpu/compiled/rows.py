"""Products of pictures and a matrix in the order of a weights file: a row of inputs for each output."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, types
from numba.extending import intrinsic

from .. import operations as o
from .. import table as t
from ..isa import BLOCK, COLUMNS, LANES, ROWS
from . import kernel
from .microkernel import multiply_adjacent
from .sync import next_item, share_out
from .vector import I32, I64, load_scalar, pointer, prefetch, store_scalar

DEPTH = t.SCRATCH // (COLUMNS * BLOCK) // LANES * LANES  # inputs of a panel's rows that are transposed at a time


@intrinsic
def turn(context: Any, source: Any, row: Any, ahead: Any, target: Any, step: Any) -> Any:
    """Transpose LANES registers, `row` bytes apart, to others `step` apart; prefetch what is `ahead` of them."""
    signature = types.void(*[types.intp] * 5)

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        source, row, ahead, target, step = args
        registers = []
        for lane in range(LANES):
            place = build.add(source, build.mul(row, I64(lane)))
            prefetch(build, build.add(place, ahead))
            registers.append(build.load(pointer(build, place), align=4))
        # Each round interleaves the lanes of one half of the registers with those of the other.
        for _ in range(LANES.bit_length() - 1):
            registers = [
                _interleave(build, a, b, first)
                for a, b in zip(registers[: LANES // 2], registers[LANES // 2 :], strict=True)
                for first in (0, LANES // 2)
            ]
        for lane, register in enumerate(registers):
            build.store(register, pointer(build, build.add(target, build.mul(step, I64(lane)))), align=4)
        return context.get_dummy_value()

    return signature, codegen


def _interleave(build: Any, a: Any, b: Any, first: int) -> Any:
    """a[first], b[first], a[first + 1], ..., in a register."""
    lanes = [first + lane // 2 + lane % 2 * LANES for lane in range(LANES)]
    return build.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, LANES), lanes))


@kernel
def multiply_rows(op: o.MultiplyRows, scratch, share):
    """C = BIAS + A times the rows at WEIGHTS, which are read once; an item is a panel of outputs.

    Both A, of `channels` inputs, and C are blocked pictures of one cell. `DEPTH` inputs at a time of a panel's rows are
    transposed in `scratch`, and their products added to those before.
    """
    channels, outputs, row = op.channels, op.out_channels, op.filter_stride
    columns = (outputs + LANES - 1) // LANES
    tiles = (op.pixels + ROWS - 1) // ROWS
    queue = share_out(share, (columns + COLUMNS - 1) // COLUMNS)
    item = next_item(queue)
    while item >= 0:
        width = min(COLUMNS, columns - item * COLUMNS)
        c = op.c + item * COLUMNS * op.c_plane
        for start in range(0, channels, DEPTH):
            depth = min(DEPTH, channels - start)
            for column in range(width):
                output = (item * COLUMNS + column) * LANES
                rows = op.weights + output * row + start * 4
                _turn_rows(rows, min(LANES, outputs - output), row, depth, scratch + column * BLOCK, width * BLOCK)
            bias = op.bias + item * COLUMNS * BLOCK if start == 0 else op.no_bias
            a = op.a + start // LANES * op.a_plane
            for tile in range(tiles):
                first = tile * op.pixels // tiles
                place = c + first * BLOCK
                multiply_adjacent(
                    BLOCK, (tile + 1) * op.pixels // tiles - first, width,
                    a + first * BLOCK, op.taps, depth // LANES, LANES, scratch, scratch, 0,
                    place, op.c_plane, BLOCK, bias, float32(1), 0 if start == 0 else place, float32(1),
                )  # fmt: skip
        item = next_item(queue)


@kernel
def _turn_rows(source, count, row, depth, target, step):
    """Transpose `count` rows of `depth` numbers, `row` bytes apart, to registers `step` apart.

    Lanes past the last row are zero.
    """
    for k in range(0, depth, LANES):
        if count == LANES:
            turn(source + k * 4, row, DEPTH * 4, target + k * step, step)
        else:
            for i in range(k, k + LANES):
                for lane in range(LANES):
                    value = load_scalar(source + lane * row + i * 4) if lane < count else float32(0)
                    store_scalar(target + i * step + lane * 4, value)
