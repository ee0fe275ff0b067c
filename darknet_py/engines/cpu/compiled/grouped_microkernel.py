"""The micro-kernel of convolutions in small groups: tiles of accumulators, one for each pixel, in vector registers.

A register holds whole groups. For each channel of a group a tap multiplies a register of weights by that channel of
each pixel's cell, copied to all lanes of its group; where each channel is a group, by the cell as it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..isa import BLOCK, HALF, LANES, ROWS
from .vector import (
    F32,
    I64,
    INTS,
    REGISTER,
    SHORTS,
    UNDEFINED,
    call_of,
    feed,
    multiply_add,
    narrow,
    pointer,
    slope_activation,
    slope_activations,
    splat,
    widen,
)  # fmt: skip

_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 18 + [F32, I64, F32])
_KNOWN = 1, 2  # known cells from one pixel's window to the next's; others are arguments, and so are all in bfloat16
UNROLLED = 3, 5  # columns of windows, in groups of one channel in float32, whose rows are unrolled


def emit() -> str:
    """The module, in LLVM's assembly: the function that `table.SUM_WINDOWS` names, and one for each kind of sums."""
    module = ir.Module()
    function = ir.Function(module, _SIGNATURE, t.SUM_WINDOWS)
    group, stride, cell, *_ = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    told = build.or_(build.icmp_signed(">", stride, I64(max(_KNOWN))), build.icmp_signed("==", cell, I64(HALF)))
    known = build.select(told, I64(0), stride)
    key = build.add(build.mul(build.add(build.mul(group, I64(4)), known), I64(2 * BLOCK)), cell)
    switch = build.switch(key, unreachable)
    for size in t.SMALL_GROUPS:
        for kind, apart in (*((REGISTER, stride) for stride in (0, *_KNOWN)), (SHORTS, 0)):
            case = _emit_kind(module, kind, size, apart)
            block = build.append_basic_block(case.name)
            switch.add_case(I64((size * 4 + apart) * 2 * BLOCK + _size(kind)), block)
            build.position_at_end(block)
            build.call(case, function.args)
            build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()
    return str(module)


def _emit_kind(module: Any, kind: Any, group: int, stride: int) -> Any:
    """The function for one kind of cells, groups and strides: a loop over lines, of one over tiles, as equal as can be.

    With a call for each tile 3 x 3 windows took 1.25 times as long.
    """
    function = ir.Function(module, _SIGNATURE, f"{t.SUM_WINDOWS}_{group}_{stride}_{_size(kind)}")
    function.linkage = "internal"
    lines, a_line, c_line, pixels, pixel, c_pixel, a, rows, a_row, columns, b, b_row, c, cell = function.args[3:-4]
    bias, slope, residual, final = function.args[-4:]
    entry = function.append_basic_block()
    build = ir.IRBuilder(entry)
    if stride:
        pixel, c_pixel = I64(stride * _size(kind)), cell
    tiles = build.sdiv(build.add(pixels, I64(ROWS - 1)), I64(ROWS))
    small = build.sdiv(pixels, tiles)
    larger = build.sub(pixels, build.mul(small, tiles))
    alone, aside = build.icmp_signed("==", residual, I64(0)), build.sub(residual, c)
    line_loop, tile_loop, tile_end, line_end, end, unreachable = (
        build.append_basic_block(name) for name in ("line", "tile", "next", "last", "end", "none")
    )
    build.branch(line_loop)

    build.position_at_end(line_loop)
    line, line_a, line_c = (build.phi(I64) for _ in range(3))
    build.branch(tile_loop)

    build.position_at_end(tile_loop)
    tile, tile_a, tile_c = (build.phi(I64) for _ in range(3))
    more = build.zext(build.icmp_signed("<", tile, larger), I64)
    size = build.add(small, more)
    other = build.select(alone, I64(0), build.add(tile_c, aside))
    switch = build.switch(size, unreachable)
    unrolled = UNROLLED if group == 1 and stride else ()
    for count in range(1, ROWS + 1):
        block = build.append_basic_block(f"pixels{count}")
        switch.add_case(I64(count), block)
        build.position_at_end(block)
        _emit_row(
            build, kind, group, unrolled, count, pixel, None if stride else c_pixel, tile_a, rows, a_row, columns,
            b, b_row, tile_c, cell, bias, slope, other, final,
        )  # fmt: skip
        build.branch(tile_end)
    build.position_at_end(unreachable)
    build.unreachable()

    build.position_at_end(tile_end)
    tile_next = build.add(tile, I64(1))
    next_a, next_c = (build.add(place, build.mul(size, step)) for place, step in ((tile_a, pixel), (tile_c, c_pixel)))
    build.cbranch(build.icmp_signed("<", tile_next, tiles), tile_loop, line_end)
    feed(line_loop, tile_end, (tile, I64(0), tile_next), (tile_a, line_a, next_a), (tile_c, line_c, next_c))

    build.position_at_end(line_end)
    line_next, next_a, next_c = build.add(line, I64(1)), build.add(line_a, a_line), build.add(line_c, c_line)
    build.cbranch(build.icmp_signed("<", line_next, lines), line_loop, end)
    feed(entry, line_end, (line, I64(0), line_next), (line_a, a, next_a), (line_c, c, next_c))
    build.position_at_end(end)
    build.ret_void()
    return function


def _spread(build: Any, cell: Any, group: int, channel: int) -> Any:
    """A cell's `channel` of each group, copied to all lanes of the group."""
    if group == 1:
        return cell
    return build.shuffle_vector(cell, UNDEFINED, _find_lanes(group, channel))


@cache
def _find_lanes(group: int, channel: int) -> Any:
    """For each lane of a register, the lane that has the `channel` of its group."""
    return ir.Constant(INTS, [lane // group * group + channel for lane in range(LANES)])


def _size(kind: Any) -> int:
    return HALF if kind is SHORTS else BLOCK


def _load(build: Any, address: Any, kind: Any) -> Any:
    value = build.load(pointer(build, address, kind), align=2 if kind is SHORTS else 4)
    return widen(build, value) if kind is SHORTS else value


def _emit_row(
    build: Any, kind: Any, group: int, unrolled: tuple[int, ...], count: int, pixel: Any, c_pixel: Any, a: Any,
    rows: Any, a_row: Any, columns: Any, b: Any, b_row: Any, c: Any, cell: Any, bias: Any, slope: Any, residual: Any,
    final: Any,
) -> None:  # fmt: skip
    """The code for `count` pixels, with a variant for each of the columns `unrolled`; ends where they are written."""
    entry = build.block
    any_row, store = (build.append_basic_block(name) for name in ("any", "store"))
    offsets = [build.mul(pixel, I64(i)) for i in range(count)]
    biases = build.load(pointer(build, bias), align=4)
    none = build.or_(build.icmp_signed("<=", rows, I64(0)), build.icmp_signed("<=", columns, I64(0)))
    build.cbranch(none, store, any_row)

    build.position_at_end(any_row)
    told = build.append_basic_block("told")
    switch = build.switch(columns, told)
    sums = [[(biases, entry)] for _ in range(count)]
    for number in (0, *unrolled):
        block = build.append_basic_block(f"columns{number}") if number else told
        if number:
            switch.add_case(I64(number), block)
        build.position_at_end(block)
        values = _emit_rows(build, kind, group, number or columns, offsets, a, rows, a_row, b, b_row, biases)
        for found, value in zip(sums, values, strict=True):
            found.append((value, build.block))
        build.branch(store)

    build.position_at_end(store)
    done = []
    for found in sums:
        total = build.phi(REGISTER)
        for value, block in found:
            total.add_incoming(value, block)
        done.append(total)
    done = slope_activations(build, done, slope)
    half, whole, end = (build.append_basic_block(name) for name in ("half", "whole", "end"))
    build.cbranch(build.icmp_signed("==", cell, I64(HALF)), half, whole)
    for block, out in ((half, SHORTS), (whole, REGISTER)):
        build.position_at_end(block)
        _emit_store(build, done, out, I64(_size(out)) if c_pixel is None else c_pixel, c, residual, final)
        build.branch(end)
    build.position_at_end(end)


def _emit_rows(
    build: Any, kind: Any, group: int, columns: Any, offsets: list[Any], a: Any, rows: Any, a_row: Any, b: Any,
    b_row: Any, biases: Any,
) -> list[Any]:  # fmt: skip
    """The code for all rows of windows; returns the sums, in the block where it ends.

    Where `columns` is an int rows are unrolled: 5 x 5 windows then took 0.9 of the time, 3 x 3 ones of 7 pixels 0.8.
    """
    entry = build.block
    row_loop = build.append_basic_block("row")
    build.branch(row_loop)

    build.position_at_end(row_loop)
    row, row_a, row_b = (build.phi(I64) for _ in range(3))
    row_sums = [build.phi(REGISTER) for _ in offsets]
    values: list[Any] = row_sums
    if isinstance(columns, int):
        for tap in range(columns):
            tap_a, tap_b = build.add(row_a, I64(tap * _size(kind))), build.add(row_b, I64(tap * group * BLOCK))
            values = _emit_tap(build, kind, group, tap_a, tap_b, offsets, values)
    else:
        tap_loop, row_end = (build.append_basic_block(name) for name in ("tap", "next"))
        build.branch(tap_loop)
        build.position_at_end(tap_loop)
        tap, tap_a, tap_b = (build.phi(I64) for _ in range(3))
        sums = [build.phi(REGISTER) for _ in offsets]
        values = _emit_tap(build, kind, group, tap_a, tap_b, offsets, sums)
        tap_next = build.add(tap, I64(1))
        a_next, b_next = build.add(tap_a, I64(_size(kind))), build.add(tap_b, I64(group * BLOCK))
        build.cbranch(build.icmp_signed("<", tap_next, columns), tap_loop, row_end)
        feed(row_loop, tap_loop, (tap, I64(0), tap_next), (tap_a, row_a, a_next), (tap_b, row_b, b_next))
        feed(row_loop, tap_loop, *zip(sums, row_sums, values, strict=True))
        build.position_at_end(row_end)

    last, end = build.block, build.append_basic_block("summed")
    row_next, row_a_next, row_b_next = build.add(row, I64(1)), build.add(row_a, a_row), build.add(row_b, b_row)
    build.cbranch(build.icmp_signed("<", row_next, rows), row_loop, end)
    feed(entry, last, (row, I64(0), row_next), (row_a, a, row_a_next), (row_b, b, row_b_next))
    feed(entry, last, *zip(row_sums, [biases] * len(values), values, strict=True))
    build.position_at_end(end)
    return values


def _emit_tap(build: Any, kind: Any, group: int, a: Any, b: Any, offsets: list[Any], sums: list[Any]) -> list[Any]:
    """The sums of all pixels, with one more tap."""
    weights = [build.load(pointer(build, build.add(b, I64(j * BLOCK))), align=4) for j in range(group)]
    values = []
    for offset, total in zip(offsets, sums, strict=True):
        cells = _load(build, build.add(a, offset), kind)
        for channel in range(group):
            total = multiply_add(build, _spread(build, cells, group, channel), weights[channel], total)
        values.append(total)
    return values


def _emit_store(build: Any, values: list[Any], kind: Any, step: Any, c: Any, residual: Any, final: Any) -> None:
    """The code that writes pixels, `step` bytes apart; ends in the block after it."""
    plain, adding, end = (build.append_basic_block(name) for name in ("plain", "adding", "written"))
    build.cbranch(build.icmp_signed("==", residual, I64(0)), plain, adding)
    for block in (plain, adding):
        build.position_at_end(block)
        offsets, stored = [build.mul(step, I64(index)) for index in range(len(values))], values
        if block is adding:
            others = [_load(build, build.add(residual, offset), kind) for offset in offsets]
            finals = splat(build, final)
            sums = [build.fadd(x, other) for x, other in zip(values, others, strict=True)]
            stored = [slope_activation(build, x, finals) for x in sums]
        for x, offset in zip(stored, offsets, strict=True):
            x = narrow(build, x) if kind is SHORTS else x
            build.store(x, pointer(build, build.add(c, offset), kind), align=2 if kind is SHORTS else 4)
        build.branch(end)
    build.position_at_end(end)


@intrinsic
def sum_windows(
    context: Any, group: Any, stride: Any, cell: Any, lines: Any, a_line: Any, c_line: Any, pixels: Any, pixel: Any,
    c_pixel: Any, a: Any, rows: Any, a_row: Any, columns: Any, b: Any, b_row: Any, c: Any, out_cell: Any, bias: Any,
    slope: Any, residual: Any, final: Any,
) -> Any:  # fmt: skip
    """c[i] = final(slope(bias + products) + residual[i]), the products summed over rows y, columns x and channels j:
    a[i, y, x, j of each group] * b[y, x, j].

    All addresses and strides are in bytes.

    Parameters
    ----------
    group : int
        Channels of a group, one of `table.SMALL_GROUPS`.
    stride : int
        How many cells apart the pixels' windows are in `a`, with pixels adjacent in `c`; 0 for any other distances.
    cell, out_cell : int
        Bytes of a cell of `a` and `c`: BLOCK for float32, else it is bfloat16.
    lines, a_line, c_line : int
        How many lines of pixels there are, at least 1, and the distance from one to the next in `a` and `c`.
    pixels : int
        Of a line, at least 1.
    pixel, c_pixel : int
        The distance from one pixel's window to the next's in `a`, and from one pixel to the next in `c`.
    a, rows, a_row, columns : int
        The first pixel's window, how many rows it has, the distance between these, and how many adjacent cells.
    b, b_row : int
        Weights, [rows, columns, group, LANES] float32.
    c : int
        Where the first pixel goes.
    bias : int
        [LANES] float32.
    slope, final : float32
        Activations x > 0 ? x : slope * x, from 0 to 1.
    residual : int
        What is added before `final`, laid out like `c`; 0 where there is none.
    """
    signature = types.void(*[types.intp] * 18, types.float32, types.intp, types.float32)

    return signature, call_of(t.SUM_WINDOWS, _SIGNATURE)
