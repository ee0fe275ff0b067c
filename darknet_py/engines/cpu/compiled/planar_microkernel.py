"""The micro-kernel of Winograd's algorithm for few channels: a column of positions stays in vector registers.

With few channels most of the time would go into storing each position's products and loading them again: here they are
summed over the channels and transformed down their column before they are stored. Inputs are transformed for LANES
neighbouring tiles at a time, one in each lane. A module of its own, which Numba only links to, like the micro-kernel.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..isa import BLOCK, LANES
from ..toom import PLANAR, input_matrix, output_matrix
from .transforms import emit_loop, emit_product
from .vector import F32, I64, INTS, REGISTER, ZEROS, call_of, feed, multiply_add, pointer, splat

M, N = PLANAR.m, PLANAR.n
_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 5)


def emit() -> str:
    """The module, in LLVM's assembly: the functions that `table.PLANAR_TILES` names."""
    module = ir.Module()
    transform, multiply = (ir.Function(module, _SIGNATURE, symbol) for symbol in t.PLANAR_TILES)
    _emit_transform(transform)
    _emit_multiply(multiply)
    return str(module)


def _emit_transform(function: Any) -> None:
    """The loop over lines, each of which is taken apart and multiplied."""
    lines, s, s_line, d, ds = function.args
    build = ir.IRBuilder(function.append_basic_block())

    def read(place: Any, line: Any) -> list[Any]:
        pixels = _take_apart(build, [_load(build, place, i) for i in range(M + 1)])
        return emit_product(build, input_matrix(N, N), pixels)

    emit_loop(build, read, N, REGISTER, lines, s, s_line, d, ds, I64(BLOCK))
    build.ret_void()


def _take_apart(build: Any, registers: list[Any]) -> list[Any]:
    """N registers from M + 1 of a row's pixels: lane i of the x-th has pixel i * M + x, the x-th of tile i."""
    found, last = [registers[:M]], registers[M]
    even, odd = range(0, 2 * LANES, 2), range(1, 2 * LANES, 2)
    while len(found) < M:  # M is a power of two: every second pixel, until it is every M-th
        found = [
            [_shuffle(build, a, b, lanes) for a, b in zip(x[::2], x[1::2], strict=True)]
            for lanes in (even, odd)
            for x in found
        ]
    pixels = [x for (x,) in found]
    return pixels + [_shuffle(build, pixels[x], last, (*range(1, LANES), LANES + x)) for x in range(N - M)]


def _shuffle(build: Any, a: Any, b: Any, lanes: Any) -> Any:
    return build.shuffle_vector(a, b, ir.Constant(INTS, list(lanes)))


def _emit_multiply(function: Any) -> None:
    """A case for each number of tiles."""
    tiles, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    switch = build.switch(tiles, unreachable)
    for count in range(1, t.PLANAR_COUNT + 1):
        block = build.append_basic_block(f"tiles{count}")
        switch.add_case(I64(count), block)
        build.position_at_end(block)
        _emit_tiles(build, count, *rest)
        build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()


def _emit_tiles(build: Any, count: int, channels: Any, a: Any, b: Any, d: Any) -> None:
    """The loops over columns of positions and channels, for `count` tiles; ends in the block after them."""
    entry = build.block
    column, channel, sums, end = (build.append_basic_block(name) for name in ("column", "channel", "sums", "end"))
    build.branch(column)
    build.position_at_end(column)
    x, column_a, column_b = build.phi(I64), build.phi(I64), build.phi(I64)
    build.branch(channel)

    build.position_at_end(channel)
    c, c_a, c_b = build.phi(I64), build.phi(I64), build.phi(I64)
    before = [[build.phi(REGISTER) for _ in range(N)] for _ in range(count)]
    values = [list(column_of_one) for column_of_one in before]
    for y in range(N):
        weights = _load(build, c_b, y)
        for tile in range(count):
            value = build.load(pointer(build, build.add(c_a, I64(y * BLOCK + 4 * tile)), F32))
            values[tile][y] = multiply_add(build, splat(build, value), weights, values[tile][y])
    c_next, a_next, b_next = build.add(c, I64(1)), _step(build, c_a), _step(build, c_b)
    build.cbranch(build.icmp_signed("<", c_next, channels), channel, sums)
    feed(column, channel, (c, I64(0), c_next), (c_a, column_a, a_next), (c_b, column_b, b_next))
    for tile in range(count):
        feed(column, channel, *zip(before[tile], [ZEROS] * len(values[tile]), values[tile], strict=True))

    build.position_at_end(sums)
    goal = build.add(d, build.mul(x, I64(BLOCK)))
    for tile in range(count):
        for y, value in enumerate(emit_product(build, output_matrix(N, N, M), values[tile])):
            build.store(value, pointer(build, build.add(goal, I64((tile * M + y) * N * BLOCK))), align=4)
    x_next = build.add(x, I64(1))
    build.cbranch(build.icmp_signed("<", x_next, I64(N)), column, end)
    feed(entry, sums, (x, I64(0), x_next), (column_a, a, a_next), (column_b, b, b_next))
    build.position_at_end(end)


def _load(build: Any, address: Any, register: int) -> Any:
    return build.load(pointer(build, build.add(address, I64(register * BLOCK))), align=4)


def _step(build: Any, address: Any) -> Any:
    """From a channel's column of positions to the next."""
    return build.add(address, I64(N * BLOCK))


@intrinsic
def transform_planar_lines(context: Any, lines: Any, s: Any, s_line: Any, d: Any, ds: Any) -> Any:
    """Transform lines of M + 1 registers of pixels at `s`: positions of LANES tiles to `d`, `ds` between positions.

    Lines are `s_line` apart at `s`, and adjacent at `d`.
    """

    return types.void(*[types.intp] * 5), call_of(t.PLANAR_TILES[0], _SIGNATURE)


@intrinsic
def multiply_planar_tiles(context: Any, tiles: Any, channels: Any, a: Any, b: Any, d: Any) -> Any:
    """Multiply 1..PLANAR_COUNT tiles by a block of weights, sum over channels and transform down the columns, to `d`.

    `a` is [column][channel][row][LANES tiles], from the first tile's lane on, `b` [column][channel][row][LANES output
    channels], `d` [tile][row of outputs][column][LANES output channels].
    """

    return types.void(*[types.intp] * 5), call_of(t.PLANAR_TILES[1], _SIGNATURE)
