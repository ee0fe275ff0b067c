"""The micro-kernel of convolutions in small groups: a row of accumulators, one for each pixel, in vector registers.

A register holds whole groups. A tap is, for each channel of a group, a register of weights times that channel of each
pixel's cell, in all lanes of its group; where each channel is a group, the cell as it is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
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
    multiply_add,
    narrow,
    pointer,
    slope_activation,
    splat,
    widen,
)  # fmt: skip

_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 15 + [F32, I64, F32])
_STRIDES = 1, 2, 0  # cells from one pixel's window to the next's; 0 where that is told


def emit() -> str:
    """The module, in LLVM's assembly: the function that `table.SUM_WINDOWS` names, and one for each kind of sums."""
    module = ir.Module()
    function = ir.Function(module, _SIGNATURE, t.SUM_WINDOWS)
    group, stride, cell, *_ = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    # Larger strides are told.
    known = build.select(build.icmp_signed("<=", stride, I64(2)), stride, I64(0))
    key = build.add(build.mul(build.add(build.mul(group, I64(4)), known), I64(2 * BLOCK)), cell)
    switch = build.switch(key, unreachable)
    for size in t.SMALL_GROUPS:
        for apart in _STRIDES:
            for kind in (REGISTER, SHORTS):
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
    """The function for one kind of cells, groups and strides."""
    function = ir.Function(module, _SIGNATURE, f"{t.SUM_WINDOWS}_{group}_{stride}_{_size(kind)}")
    function.linkage = "internal"
    _, _, _, pixels, pixel, c_pixel, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    switch = build.switch(pixels, unreachable)
    if stride:
        pixel = I64(stride * _size(kind))
    for count in range(1, ROWS + 1):
        block = build.append_basic_block(f"pixels{count}")
        switch.add_case(I64(count), block)
        build.position_at_end(block)
        _emit_row(build, kind, group, count, pixel, None if stride else c_pixel, *rest)
        build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()
    return function


def _spread(build: Any, cell: Any, group: int, channel: int) -> Any:
    """A cell's `channel` of each group, in all lanes of the group."""
    if group == 1:
        return cell
    return build.shuffle_vector(cell, UNDEFINED, _find_lanes(group, channel))


@cache
def _find_lanes(group: int, channel: int) -> Any:
    """For each lane of a register, which has the `channel` of its group."""
    return ir.Constant(INTS, [lane // group * group + channel for lane in range(LANES)])


def _size(kind: Any) -> int:
    return HALF if kind is SHORTS else BLOCK


def _load(build: Any, address: Any, kind: Any) -> Any:
    value = build.load(pointer(build, address, kind), align=2 if kind is SHORTS else 4)
    return widen(build, value) if kind is SHORTS else value


def _emit_row(
    build: Any, kind: Any, group: int, count: int, pixel: Any, c_pixel: Any, a: Any, rows: Any, a_row: Any,
    columns: Any, b: Any, b_row: Any, c: Any, cell: Any, bias: Any, slope: Any, residual: Any, final: Any,
) -> None:  # fmt: skip
    """The code for `count` pixels; ends in the block where they are written."""
    entry = build.block
    offsets = [build.mul(pixel, I64(i)) for i in range(count)]
    row_loop, tap_loop, row_end, store = (build.append_basic_block(name) for name in ("row", "tap", "next", "store"))
    biases = build.load(pointer(build, bias), align=4)
    none = build.or_(build.icmp_signed("<=", rows, I64(0)), build.icmp_signed("<=", columns, I64(0)))
    build.cbranch(none, store, row_loop)

    build.position_at_end(row_loop)
    row, row_a, row_b = (build.phi(I64) for _ in range(3))
    row_sums = [build.phi(REGISTER) for _ in range(count)]
    build.branch(tap_loop)

    build.position_at_end(tap_loop)
    tap, tap_a, tap_b = (build.phi(I64) for _ in range(3))
    sums = [build.phi(REGISTER) for _ in range(count)]
    weights = [build.load(pointer(build, build.add(tap_b, I64(j * BLOCK))), align=4) for j in range(group)]
    values = []
    for offset, total in zip(offsets, sums, strict=True):
        cells = _load(build, build.add(tap_a, offset), kind)
        for channel in range(group):
            total = multiply_add(build, _spread(build, cells, group, channel), weights[channel], total)
        values.append(total)
    tap_next = build.add(tap, I64(1))
    a_next, b_next = build.add(tap_a, I64(_size(kind))), build.add(tap_b, I64(group * BLOCK))
    build.cbranch(build.icmp_signed("<", tap_next, columns), tap_loop, row_end)
    for phi, start, following in ((tap, I64(0), tap_next), (tap_a, row_a, a_next), (tap_b, row_b, b_next)):
        phi.add_incoming(start, row_loop)
        phi.add_incoming(following, tap_loop)
    for phi, start, following in zip(sums, row_sums, values, strict=True):
        phi.add_incoming(start, row_loop)
        phi.add_incoming(following, tap_loop)

    build.position_at_end(row_end)
    row_next, row_a_next, row_b_next = build.add(row, I64(1)), build.add(row_a, a_row), build.add(row_b, b_row)
    build.cbranch(build.icmp_signed("<", row_next, rows), row_loop, store)
    for phi, start, following in ((row, I64(0), row_next), (row_a, a, row_a_next), (row_b, b, row_b_next)):
        phi.add_incoming(start, entry)
        phi.add_incoming(following, row_end)
    for phi, following in zip(row_sums, values, strict=True):
        phi.add_incoming(biases, entry)
        phi.add_incoming(following, row_end)

    build.position_at_end(store)
    done = []
    for value in values:
        total = build.phi(REGISTER)
        total.add_incoming(biases, entry)
        total.add_incoming(value, row_end)
        done.append(total)
    slopes, finals = splat(build, slope), splat(build, final)
    done = [slope_activation(build, total, slopes) for total in done]
    half, whole, end = (build.append_basic_block(name) for name in ("half", "whole", "end"))
    build.cbranch(build.icmp_signed("==", cell, I64(HALF)), half, whole)
    for block, out in ((half, SHORTS), (whole, REGISTER)):
        build.position_at_end(block)
        _emit_store(build, done, out, I64(_size(out)) if c_pixel is None else c_pixel, c, residual, finals)
        build.branch(end)
    build.position_at_end(end)


def _emit_store(build: Any, values: list[Any], kind: Any, step: Any, c: Any, residual: Any, finals: Any) -> None:
    """The code that writes pixels, `step` bytes apart; ends in the block after it."""
    plain, adding, end = (build.append_basic_block(name) for name in ("plain", "adding", "written"))
    build.cbranch(build.icmp_signed("==", residual, I64(0)), plain, adding)
    for block in (plain, adding):
        build.position_at_end(block)
        for index, x in enumerate(values):
            offset = build.mul(step, I64(index))
            if block is adding:
                x = slope_activation(build, build.fadd(x, _load(build, build.add(residual, offset), kind)), finals)
            x = narrow(build, x) if kind is SHORTS else x
            build.store(x, pointer(build, build.add(c, offset), kind), align=2 if kind is SHORTS else 4)
        build.branch(end)
    build.position_at_end(end)


@intrinsic
def sum_windows(
    context: Any, group: Any, stride: Any, cell: Any, pixels: Any, pixel: Any, c_pixel: Any, a: Any, rows: Any,
    a_row: Any, columns: Any, b: Any, b_row: Any, c: Any, out_cell: Any, bias: Any, slope: Any, residual: Any,
    final: Any,
) -> Any:  # fmt: skip
    """c[i] = final(slope(bias + products) + residual[i]), the products summed over rows y, columns x and channels j:
    a[i, y, x, j of each group] * b[y, x, j].

    All addresses and strides are in bytes.

    Parameters
    ----------
    group : int
        Channels of a group, one of `table.SMALL_GROUPS`.
    stride : int
        How many cells apart the pixels' windows lie in `a`, their own side by side in `c`; 0 where that is told.
    cell, out_cell : int
        Of `a` and `c`: float32 where LANES of them take BLOCK bytes, else bfloat16.
    pixels : int
        1..ROWS.
    pixel, c_pixel : int
        From one's window to the next's in `a`, and from one to the next in `c`, for a stride of 0 or more than 2.
    a, rows, a_row, columns : int
        The first one's window, and its sides; columns are cells side by side.
    b, b_row : int
        Weights, [rows, columns, group, LANES] float32.
    c : int
        Where they go.
    bias : int
        [LANES] float32.
    slope, final : float32
        Activations x > 0 ? x : slope * x, of at most 1.
    residual : int
        What is added before `final`, laid out like `c`; 0 where there is none.
    """
    signature = types.void(*[types.intp] * 15, types.float32, types.intp, types.float32)

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.call(cgutils.get_or_insert_function(build.module, _SIGNATURE, t.SUM_WINDOWS), args)
        return context.get_dummy_value()

    return signature, codegen
