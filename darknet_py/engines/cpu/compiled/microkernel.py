"""The GEMM micro-kernel: a tile of accumulators in vector registers, one rank-1 update per input channel.

As in BLIS and oneDNN; written in LLVM's terms, since no compiler keeps such a tile in registers by itself. A module of
its own, which Numba only links to: its callers are inlined and thus compiled again and again; this is compiled once.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..arena import LINE
from ..isa import BLOCK, COLUMNS, HALF, LANES, ROWS, UNROLL
from .vector import (
    F32,
    I64,
    REGISTER,
    SHORTS,
    ZEROS,
    call_of,
    feed,
    multiply_add,
    multiply_pairs,
    narrow,
    pointer,
    prefetch,
    slope_activations,
    splat,
    widen,
)  # fmt: skip

REGISTERS = max(1, LINE // BLOCK)  # of weights in a cache line
_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 14 + [F32, I64, F32])


def emit() -> str:
    """The module, in LLVM's assembly: the functions that `table.MULTIPLY` names."""
    module = ir.Module()
    for number, symbol in enumerate(t.MULTIPLY):
        _emit_multiply(module, symbol, adjacent=number % 2 == 0, pairs=number >= 2)
    return str(module)


def _emit_multiply(module: Any, symbol: str, adjacent: bool, pairs: bool) -> None:
    function = ir.Function(module, _SIGNATURE, symbol)
    pixel_stride, rows, columns, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block())
    stride = I64(HALF if pairs else BLOCK) if adjacent else pixel_stride
    unreachable = build.append_basic_block("none")
    switch = build.switch(build.add(build.mul(rows, I64(COLUMNS + 1)), columns), unreachable)
    for m in range(1, ROWS + 1):
        for n in range(1, COLUMNS + 1):
            block = build.append_basic_block(f"tile{m}x{n}")
            switch.add_case(I64(m * (COLUMNS + 1) + n), block)
            build.position_at_end(block)
            _emit_tile(build, pairs, m, n, stride, adjacent, *rest)
            build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()


def _emit_tile(
    build: Any, pairs: bool, m: int, n: int, stride: Any, adjacent: bool, a: Any, taps: Any, tap_count: Any,
    depth: Any, b: Any, ahead: Any, ahead_step: Any, c: Any, plane: Any, cell: Any, bias: Any, slope: Any,
    residual: Any, final: Any,
) -> None:  # fmt: skip
    """The code for a tile of `m` x `n`; ends in the block where it is stored."""
    accumulate = multiply_pairs if pairs else multiply_add
    unroll = 1 if not adjacent else min(UNROLL, LANES // 2) if pairs else UNROLL
    entry = build.block
    offsets = [build.mul(stride, I64(i)) for i in range(m)]
    line_step = build.mul(ahead_step, I64(REGISTERS))
    tap_loop, k_loop, tap_end, store = (build.append_basic_block(name) for name in ("tap", "k", "next", "store"))
    build.branch(tap_loop)

    build.position_at_end(tap_loop)
    tap, tap_b, tap_ahead = build.phi(I64), build.phi(I64), build.phi(I64)
    tap_tile = [build.phi(REGISTER) for _ in range(m * n)]
    offset = build.load(pointer(build, build.add(taps, build.shl(tap, I64(3))), I64))
    first_a = build.add(a, offset)
    build.branch(k_loop)

    build.position_at_end(k_loop)
    k, k_a, k_b, k_ahead = build.phi(I64), build.phi(I64), build.phi(I64), build.phi(I64)
    ahead_next = k_ahead
    tile = [build.phi(REGISTER) for _ in range(m * n)]
    values = list(tile)
    b_base = pointer(build, k_b, REGISTER)
    for step in range(unroll):
        for register in range(step * n, step * n + n if adjacent else 0):
            if register % REGISTERS == 0:
                prefetch(build, ahead_next)
                ahead_next = build.add(ahead_next, line_step)
        weights = [build.load(build.gep(b_base, [I64(step * n + j)]), align=4) for j in range(n)]
        for i in range(m):
            address = build.add(k_a, build.add(offsets[i], I64(4 * step)))
            pixel = splat(build, build.load(pointer(build, address, F32)))
            for j in range(n):
                values[i * n + j] = accumulate(build, pixel, weights[j], values[i * n + j])
    k_next = build.add(k, I64(unroll))
    a_next = build.add(k_a, I64(4 * unroll))
    b_next = build.add(k_b, I64(unroll * n * BLOCK))
    build.cbranch(build.icmp_signed("<", k_next, depth), k_loop, tap_end)
    feed(
        tap_loop, k_loop, (k, I64(0), k_next), (k_a, first_a, a_next), (k_b, tap_b, b_next),
        (k_ahead, tap_ahead, ahead_next),
    )  # fmt: skip
    feed(tap_loop, k_loop, *zip(tile, tap_tile, values, strict=True))

    build.position_at_end(tap_end)
    tap_next = build.add(tap, I64(1))
    build.cbranch(build.icmp_signed("<", tap_next, tap_count), tap_loop, store)
    feed(entry, tap_end, (tap, I64(0), tap_next), (tap_b, b, b_next), (tap_ahead, ahead, ahead_next))
    feed(entry, tap_end, *zip(tap_tile, [ZEROS] * len(values), values, strict=True))

    build.position_at_end(store)
    bare, whole_store = (build.append_basic_block(name) for name in ("bare", "whole_store"))
    ended = build.append_basic_block("ended")
    build.cbranch(build.icmp_signed("==", bias, I64(0)), bare, whole_store)
    build.position_at_end(bare)
    targets = [pointer(build, build.add(c, build.mul(plane, I64(j)))) for j in range(n)]
    for index, x in enumerate(values):
        build.store(x, build.gep(targets[index % n], [I64(index // n)]), align=4)
    build.branch(ended)
    build.position_at_end(whole_store)
    bias_base = pointer(build, bias)
    biases = [build.load(build.gep(bias_base, [I64(j)]), align=4) for j in range(n)]
    sums = [build.fadd(x, biases[index % n]) for index, x in enumerate(values)]
    activated = slope_activations(build, sums, slope)
    half, whole, end = (build.append_basic_block(name) for name in ("half", "whole", "end"))
    build.cbranch(build.icmp_signed("==", cell, I64(HALF)), half, whole)
    for block, kind in ((half, SHORTS), (whole, REGISTER)):
        build.position_at_end(block)
        _emit_store(build, activated, n, kind, c, plane, residual, final)
        build.branch(end)
    build.position_at_end(end)
    build.branch(ended)
    build.position_at_end(ended)


def _emit_store(
    build: Any, values: list[Any], n: int, kind: Any, c: Any, plane: Any, residual: Any, final: Any
) -> None:
    """The code that writes a tile's values, `n` to a pixel, in registers of `kind`; ends in the block after it."""
    align = 4 if kind is REGISTER else 2
    plain, adding, end = (build.append_basic_block(name) for name in ("plain", "adding", "written"))
    targets, others = (
        [pointer(build, build.add(start, build.mul(plane, I64(j))), kind) for j in range(n)] for start in (c, residual)
    )
    build.cbranch(build.icmp_signed("==", residual, I64(0)), plain, adding)
    for block in (plain, adding):
        build.position_at_end(block)
        places = [(index % n, [I64(index // n)]) for index in range(len(values))]
        stored = values
        if block is adding:
            loaded = [build.load(build.gep(others[column], place), align=align) for column, place in places]
            loaded = loaded if kind is REGISTER else [widen(build, other) for other in loaded]
            sums = [build.fadd(x, other) for x, other in zip(values, loaded, strict=True)]
            stored = slope_activations(build, sums, final)
        for x, (column, place) in zip(stored, places, strict=True):
            x = x if kind is REGISTER else narrow(build, x)
            build.store(x, build.gep(targets[column], place), align=align)
        build.branch(end)
    build.position_at_end(end)


def _call(symbol: str) -> Any:
    @intrinsic
    def multiply(
        context: Any, pixel_stride: Any, rows: Any, columns: Any, a: Any, taps: Any, tap_count: Any, depth: Any,
        b: Any, ahead: Any, ahead_step: Any, c: Any, plane: Any, cell: Any, bias: Any, slope: Any, residual: Any,
        final: Any,
    ) -> Any:  # fmt: skip
        """c[column][row] = final(slope(products + bias) + residual), the products summed over taps and k:
        a[tap + row * pixel_stride + k] * b[tap, k, column].

        All addresses and strides are in bytes.

        Parameters
        ----------
        pixel_stride : int
            From one row's pixel to the next in `a`.
        rows, columns : int
            Of the tile: 1..ROWS pixels, 1..COLUMNS registers of output channels.
        a, taps, tap_count, depth : int
            The first row's pixel; int64 offsets that are added to it, one for each tap of a window and block of
            input channels; how many of these; how many input channels each spans, or pairs of them in bfloat16: for
            adjacent pixels a multiple of UNROLL, or, in bfloat16, of LANES // 2 where that is less.
        b : int
            Weights, [tap_count, depth, columns, LANES] float32 or pairs of bfloat16.
        ahead, ahead_step : int
            Where the data needed next is, and how far to go on with each of the tap_count * depth * columns registers
            of weights: for adjacent pixels it is prefetched into the L2 cache meanwhile.
        c, plane, cell : int
            Where the tile goes, [columns, rows, LANES] with `plane` between columns: float32 where `cell`, the bytes of
            LANES of them, is BLOCK, else bfloat16.
        bias : int
            [columns, LANES] float32; 0 where the sums are stored as they are, in float32, whatever the other arguments.
        slope, final : float32
            Activations x > 0 ? x : slope * x, from 0 to 1.
        residual : int
            What is added before `final`, laid out like `c`; 0 where there is none.
        """
        signature = types.void(*[types.intp] * 14, types.float32, types.intp, types.float32)

        return signature, call_of(symbol, _SIGNATURE)

    return multiply


# For adjacent pixels the compiler knows `pixel_stride`, and `ahead` is prefetched. For others, that made a first layer
# (7 x 7, stride 2) take 4.0 ms instead of 2.6 on one core.
multiply_adjacent, multiply_strided, multiply_adjacent_narrow, multiply_strided_narrow = map(_call, t.MULTIPLY)
