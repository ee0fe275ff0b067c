"""The micro-kernel of weights' gradients: a tile of sums over pixels of inputs times deltas.

Both are read in place; a tile's rows are adjacent numbers, its columns registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..isa import COLUMNS, LANES, ROWS
from .vector import F32, I64, REGISTER, ZEROS, call_of, feed, multiply_add, pointer, splat

_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 14)


def most_rows(columns: int) -> int:
    """The most rows of a tile: all of a block's lanes, a half, a quarter, ..., so that sums stay in registers."""
    rows = LANES
    while rows * columns > ROWS * COLUMNS:
        rows //= 2
    return rows


# By columns, from 0.
MOST_ROWS = (0, *(most_rows(columns) for columns in range(1, t.GROUP + 1)))


def emit() -> str:
    """The module, in LLVM's assembly: the function that `table.ACCUMULATE` names."""
    module = ir.Module()
    function = ir.Function(module, _SIGNATURE, t.ACCUMULATE)
    rows, columns, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    switch = build.switch(build.add(build.mul(rows, I64(t.GROUP + 1)), columns), unreachable)
    for n in range(1, t.GROUP + 1):
        for m in range(1, MOST_ROWS[n] + 1):
            block = build.append_basic_block(f"tile{m}x{n}")
            switch.add_case(I64(m * (t.GROUP + 1) + n), block)
            build.position_at_end(block)
            _emit_tile(build, m, n, *rest)
            build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()
    return str(module)


def _emit_tile(
    build: Any, m: int, n: int, a: Any, pixel: Any, a_row: Any, b: Any, b_pixel: Any, b_row: Any, b_plane: Any,
    pixels: Any, row_count: Any, c: Any, c_row: Any, c_plane: Any,
) -> None:  # fmt: skip
    """The code for a tile of `m` x `n`; ends in the block where it is added."""
    entry = build.block
    row_loop, pixel_loop, row_end, end = (build.append_basic_block(name) for name in ("row", "pixel", "next", "add"))
    planes = [build.mul(b_plane, I64(j)) for j in range(n)]
    build.branch(row_loop)

    build.position_at_end(row_loop)
    row, row_a, row_b = build.phi(I64), build.phi(I64), build.phi(I64)
    row_tile = [build.phi(REGISTER) for _ in range(m * n)]
    build.branch(pixel_loop)

    build.position_at_end(pixel_loop)
    x, x_a, x_b = build.phi(I64), build.phi(I64), build.phi(I64)
    tile = [build.phi(REGISTER) for _ in range(m * n)]
    deltas = [build.load(pointer(build, build.add(x_b, planes[j])), align=4) for j in range(n)]
    numbers, values = pointer(build, x_a, F32), []
    for i in range(m):
        number = splat(build, build.load(build.gep(numbers, [I64(i)])))
        values += [multiply_add(build, number, deltas[j], tile[i * n + j]) for j in range(n)]
    x_next, a_next, b_next = build.add(x, I64(1)), build.add(x_a, pixel), build.add(x_b, b_pixel)
    build.cbranch(build.icmp_signed("<", x_next, pixels), pixel_loop, row_end)
    feed(row_loop, pixel_loop, (x, I64(0), x_next), (x_a, row_a, a_next), (x_b, row_b, b_next))
    feed(row_loop, pixel_loop, *zip(tile, row_tile, values, strict=True))

    build.position_at_end(row_end)
    row_next, row_a_next, row_b_next = build.add(row, I64(1)), build.add(row_a, a_row), build.add(row_b, b_row)
    build.cbranch(build.icmp_signed("<", row_next, row_count), row_loop, end)
    feed(entry, row_end, (row, I64(0), row_next), (row_a, a, row_a_next), (row_b, b, row_b_next))
    feed(entry, row_end, *zip(row_tile, [ZEROS] * len(values), values, strict=True))

    build.position_at_end(end)
    for i in range(m):
        for j in range(n):
            place = build.add(c, build.add(build.mul(c_row, I64(i)), build.mul(c_plane, I64(j))))
            target = pointer(build, place)
            build.store(build.fadd(build.load(target, align=4), values[i * n + j]), target, align=4)


@intrinsic
def accumulate(
    context: Any, rows: Any, columns: Any, a: Any, pixel: Any, a_row: Any, b: Any, b_pixel: Any, b_row: Any,
    b_plane: Any, pixels: Any, row_count: Any, c: Any, c_row: Any, c_plane: Any,
) -> Any:  # fmt: skip
    """c[row][column] += a[y][x][row] * b[y][x][column], summed over y and x.

    All addresses and strides are in bytes.

    Parameters
    ----------
    rows, columns : int
        Of the tile: 1..MOST_ROWS[columns] adjacent float32 in `a`, 1..GROUP registers of `b`.
    a, pixel, a_row : int
        The first number; the distance from one x and from one y to the next.
    b, b_pixel, b_row, b_plane : int
        The same, and the distance from one column to the next.
    pixels, row_count : int
        How many x and y there are.
    c, c_row, c_plane : int
        Where the tile is added; the distance from one row and from one column to the next.
    """
    signature = types.void(*[types.intp] * 14)

    return signature, call_of(t.ACCUMULATE, _SIGNATURE)
