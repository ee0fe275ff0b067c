"""Curves applied to cells that are in a cache.

A module of its own, which Numba only links to: curves are compiled once, and each has loops over cells of its own.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..isa import BLOCK, HALF
from .curves import CURVES, Expression
from .vector import I64, REGISTER, SHORTS, call_of, feed, narrow, pointer, widen

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


def _emit_curve(build: Any, name: str, kind: Any, size: int, start: Any, cells: Any, runs: Any, apart: Any) -> None:
    """The code for cells of a kind; ends in the block after it."""
    entry = build.block
    run_loop, cell_loop, run_end, end = (build.append_basic_block(part) for part in ("run", "cell", "next", "end"))
    build.branch(run_loop)

    build.position_at_end(run_loop)
    run, first = build.phi(I64), build.phi(I64)
    build.branch(cell_loop)

    build.position_at_end(cell_loop)
    number, address = build.phi(I64), build.phi(I64)
    place, align = pointer(build, address, kind), 2 if kind is SHORTS else 4
    x = build.load(place, align=align)
    y = CURVES[name](Expression(build, widen(build, x) if kind is SHORTS else x)).value
    build.store(narrow(build, y) if kind is SHORTS else y, place, align=align)
    number_next, address_next = build.add(number, I64(1)), build.add(address, I64(size))
    build.cbranch(build.icmp_signed("<", number_next, cells), cell_loop, run_end)
    feed(run_loop, cell_loop, (number, I64(0), number_next), (address, first, address_next))

    build.position_at_end(run_end)
    run_next, first_next = build.add(run, I64(1)), build.add(first, apart)
    build.cbranch(build.icmp_signed("<", run_next, runs), run_loop, end)
    feed(entry, run_end, (run, I64(0), run_next), (first, start, first_next))
    build.position_at_end(end)


@intrinsic
def bend_cells(context: Any, code: Any, start: Any, cells: Any, runs: Any, apart: Any, cell: Any) -> Any:
    """Apply a curve to each number of cells, in place.

    Parameters
    ----------
    code : int
        The curve's place in `table.CURVES`, from 1.
    start : int
        The first cell's address.
    cells, runs, apart : int
        Adjacent cells, at least 1; how many such runs, at least 1, and bytes from one to the next.
    cell : int
        Bytes of a cell: float32 where LANES of them take BLOCK bytes, else bfloat16.
    """
    signature = types.void(*[types.intp] * 6)

    return signature, call_of(t.BEND, _SIGNATURE)
