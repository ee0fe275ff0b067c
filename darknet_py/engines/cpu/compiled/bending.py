"""Curves of cells that lie in a cache, and slopes of curves.

A module of its own for the curves, which Numba only links to: they are compiled once, and a loop over cells keeps to
one of them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import table as t
from ..isa import BLOCK, HALF
from .curves import CURVES, SLOPES, Expression
from .vector import F32, I64, REGISTER, SHORTS, ZEROS, narrow, pointer, splat, vector, widen

_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 6)


def emit() -> str:
    """The module, in LLVM's assembly: the function that `table.BEND` names."""
    module = ir.Module()
    function = ir.Function(module, _SIGNATURE, t.BEND)
    code, *rest, cell = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    switch = build.switch(build.add(build.mul(code, I64(2 * BLOCK)), cell), unreachable)
    for number, name in enumerate(t.CURVES, 1):
        for kind, size in ((REGISTER, BLOCK), (SHORTS, HALF)):
            block = build.append_basic_block(f"{name}_{size}")
            switch.add_case(I64(number * 2 * BLOCK + size), block)
            build.position_at_end(block)
            _emit_curve(build, name, kind, size, *rest)
            build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()
    return str(module)


def _emit_curve(build: Any, name: str, kind: Any, size: int, start: Any, rows: Any, columns: Any, plane: Any) -> None:
    """The code for cells of a kind; ends in the block after it."""
    entry = build.block
    column_loop, row_loop, column_end, end = (
        build.append_basic_block(part) for part in ("column", "row", "next", "end")
    )
    build.branch(column_loop)

    build.position_at_end(column_loop)
    column, first = build.phi(I64), build.phi(I64)
    build.branch(row_loop)

    build.position_at_end(row_loop)
    row, address = build.phi(I64), build.phi(I64)
    place, align = pointer(build, address, kind), 2 if kind is SHORTS else 4
    x = build.load(place, align=align)
    y = CURVES[name](Expression(build, widen(build, x) if kind is SHORTS else x)).value
    build.store(narrow(build, y) if kind is SHORTS else y, place, align=align)
    row_next, address_next = build.add(row, I64(1)), build.add(address, I64(size))
    build.cbranch(build.icmp_signed("<", row_next, rows), row_loop, column_end)
    for phi, value, following in ((row, I64(0), row_next), (address, first, address_next)):
        phi.add_incoming(value, column_loop)
        phi.add_incoming(following, row_loop)

    build.position_at_end(column_end)
    column_next, first_next = build.add(column, I64(1)), build.add(first, plane)
    build.cbranch(build.icmp_signed("<", column_next, columns), column_loop, end)
    for phi, value, following in ((column, I64(0), column_next), (first, start, first_next)):
        phi.add_incoming(value, entry)
        phi.add_incoming(following, column_end)
    build.position_at_end(end)


@intrinsic
def bend_cells(context: Any, code: Any, start: Any, rows: Any, columns: Any, plane: Any, cell: Any) -> Any:
    """Put the curve of each number of cells in its place.

    Parameters
    ----------
    code : int
        The curve's place in `table.CURVES`, from 1.
    start : int
        The first cell's address.
    rows, columns, plane : int
        Cells side by side, at least 1; how many times as many, at least 1, and bytes from one column to the next.
    cell : int
        Bytes of a cell: float32 where LANES of them take BLOCK bytes, else bfloat16.
    """
    signature = types.void(*[types.intp] * 6)

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.call(cgutils.get_or_insert_function(build.module, _SIGNATURE, t.BEND), args)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def slope_at(context: Any, code: Any, slope: Any, kept: Any) -> Any:
    """A register of a curve's slopes where it has given, or has been given, `kept`; of code 0, kept > 0 ? 1 : slope."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        code, slope, kept = args
        blocks = [build.append_basic_block(name) for name in ("slope", *t.CURVES)]
        end = build.append_basic_block("found")
        switch = build.switch(code, blocks[0])
        results = []
        for number, block in enumerate(blocks):
            build.position_at_end(block)
            if number:
                switch.add_case(ir.Constant(code.type, number), block)
                results.append((SLOPES[t.CURVES[number - 1]](Expression(build, kept)).value, build.block))
            else:
                rising = build.fcmp_ordered(">", kept, ZEROS)
                results.append((build.select(rising, splat(build, F32(1)), splat(build, slope)), build.block))
            build.branch(end)
        build.position_at_end(end)
        answer = build.phi(REGISTER)
        for value, block in results:
            answer.add_incoming(value, block)
        return answer

    return vector(types.intp, types.float32, vector), codegen
