"""The transforms of lines of Winograd's tiles, made from their matrices: sums of registers times constants.

A module of its own, which Numba only links to, like the micro-kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import table as t
from ..toom import MOST_POINTS, PLANAR, TILES, Matrix, input_matrix, output_matrix
from . import kernel
from .vector import (
    F32,
    I64,
    REGISTER,
    SHORTS,
    call_of,
    emit_largest,
    feed,
    multiply_add,
    narrow,
    pointer,
    slope_activation,
    splat,
    widen,
)

DIGITS = 12  # of the matrices' numbers that count: further ones are rounding errors
_SIGNATURE = ir.FunctionType(ir.VoidType(), [I64] * 8)
_FINISH = ir.FunctionType(ir.VoidType(), [I64] * 9 + [F32, I64, F32])


def emit() -> str:
    """The module, in LLVM's assembly: the functions that `table.TRANSFORMS`, `FINISH` and `HALVE` name."""
    module = ir.Module()
    number = which_transform.py_func
    inputs: dict[int, Matrix] = {}
    planar = output_matrix(PLANAR.n, PLANAR.n, PLANAR.m)
    halved = {number(PLANAR.n, 0, m): planar[:m] for m in range(1, PLANAR.m)}
    outputs = dict(halved)
    for tile in TILES:
        for count in range(tile.r, tile.n + 1):
            m = count - tile.r + 1
            inputs[number(tile.n, count, 0)] = input_matrix(tile.n, count)
            outputs[number(tile.n, count, m)] = output_matrix(tile.n, count, m)
            if tile.halves:
                halved[number(tile.n, count, m)] = output_matrix(tile.n, count, m)
    plain, widening, narrowing, output = t.TRANSFORMS
    _emit_lines(module, plain, inputs, REGISTER, REGISTER)
    _emit_lines(module, widening, inputs, SHORTS, REGISTER)
    _emit_lines(module, narrowing, inputs, REGISTER, SHORTS)
    _emit_lines(module, output, outputs, REGISTER, REGISTER)
    for symbols, stored in ((t.FINISH, outputs), (t.HALVE, halved)):
        for symbol, target in zip(symbols, (REGISTER, SHORTS), strict=True):
            _emit_lines(module, symbol, stored, REGISTER, target)
    return str(module)


@kernel
def which_transform(n, count, m):
    """The case of a function: lines of `n` points, of which `count` are there, to `m` outputs; `m` is 0 for inputs.

    With a count of 0 all points are there, and only the first `m` outputs are wanted.
    """
    return (n * (MOST_POINTS + 1) + count) * (MOST_POINTS + 1) + m


def _emit_lines(module: Any, symbol: str, matrices: dict[int, Matrix], source: Any, target: Any) -> None:
    function = ir.Function(module, _FINISH if symbol in t.FINISH + t.HALVE else _SIGNATURE, symbol)
    which, *rest = function.args
    build = ir.IRBuilder(function.append_basic_block())
    unreachable = build.append_basic_block("none")
    switch = build.switch(which, unreachable)
    for number, matrix in matrices.items():
        block = build.append_basic_block(f"case{number}")
        switch.add_case(I64(number), block)
        build.position_at_end(block)
        if symbol in t.FINISH:
            _emit_finish(build, matrix, target, *rest)
        elif symbol in t.HALVE:
            _emit_halves(build, matrix, target, *rest)
        else:
            _emit_each_line(build, matrix, source, target, *rest)
        build.ret_void()
    build.position_at_end(unreachable)
    build.unreachable()


def _emit_each_line(
    build: Any, matrix: Matrix, source: Any, target: Any, lines: Any, s: Any, ss: Any, s_line: Any, d: Any, ds: Any,
    d_line: Any, finish: Callable[[Any, Any], Any] = lambda value, place: value,
) -> None:  # fmt: skip
    """The loop over lines, each of which is multiplied by the matrix; ends in the block after it."""
    offsets = [build.mul(ss, I64(i)) for i in range(len(matrix[0]))]

    def read(place: Any, line: Any) -> list[Any]:
        return emit_product(build, matrix, _read_line(build, place, offsets, source))

    emit_loop(build, read, len(matrix), target, lines, s, s_line, d, ds, d_line, finish)


def _emit_finish(
    build: Any, matrix: Matrix, target: Any, lines: Any, s: Any, ss: Any, s_line: Any, d: Any, ds: Any, d_line: Any,
    bias: Any, slope: Any, residual: Any, final: Any,
) -> None:  # fmt: skip
    """The loop over lines, with a residual and without; ends in the block after both."""
    activate, finals = _activation(build, bias, slope), splat(build, final)
    apart = build.sub(residual, d)

    def add(value: Any, place: Any) -> Any:
        other = _read(build, build.add(place, apart), target)
        return slope_activation(build, build.fadd(activate(value), other), finals)

    plain, adding, end = (build.append_basic_block(name) for name in ("plain", "adding", "finished"))
    build.cbranch(build.icmp_signed("==", residual, I64(0)), plain, adding)
    for block, finish in ((plain, lambda value, place: activate(value)), (adding, add)):
        build.position_at_end(block)
        _emit_each_line(build, matrix, REGISTER, target, lines, s, ss, s_line, d, ds, d_line, finish)
        build.branch(end)
    build.position_at_end(end)


def _emit_halves(
    build: Any, matrix: Matrix, target: Any, lines: Any, s: Any, ss: Any, s_line: Any, d: Any, ds: Any, d_line: Any,
    bias: Any, slope: Any, residual: Any, final: Any,
) -> None:  # fmt: skip
    """The loop over pairs of lines; ends in the block after it. A last line without a partner is its own.

    There is no residual, though there is one in the signature, which is shared.
    """
    activate = _activation(build, bias, slope)
    offsets = [build.mul(ss, I64(i)) for i in range(len(matrix[0]))]
    s_pair, pairs = build.shl(s_line, I64(1)), build.ashr(build.add(lines, I64(1)), I64(1))

    def read(place: Any, pair: Any) -> list[Any]:
        alone = build.icmp_signed("==", build.add(build.shl(pair, I64(1)), I64(1)), lines)
        below = build.select(alone, place, build.add(place, s_line))
        lines_of_two = [emit_product(build, matrix, _read_line(build, at, offsets, REGISTER)) for at in (place, below)]
        pairs = [[value for line in lines_of_two for value in line[x : x + 2]] for x in range(0, len(matrix), 2)]
        return [emit_largest(build, values) for values in pairs]

    def finish(value: Any, place: Any) -> Any:
        return activate(value)

    emit_loop(build, read, (len(matrix) + 1) // 2, target, pairs, s, s_pair, d, ds, d_line, finish)


def _activation(build: Any, bias: Any, slope: Any) -> Callable[[Any], Any]:
    """A function of an output: it adds the register at `bias`, and applies the activation of `slope`."""
    biases, slopes = build.load(pointer(build, bias), align=4), splat(build, slope)
    return lambda value: slope_activation(build, build.fadd(value, biases), slopes)


def emit_loop(
    build: Any, read: Callable[[Any, Any], list[Any]], outputs: int, target: Any, lines: Any, s: Any, s_line: Any,
    d: Any, ds: Any, d_line: Any, finish: Callable[[Any, Any], Any] = lambda value, place: value,
) -> None:  # fmt: skip
    """The loop over lines; ends in the block after it.

    `read` takes a line's address and number, and returns its outputs; `finish` takes each and the address it goes to.
    """
    entry = build.block
    to_d = [build.mul(ds, I64(i)) for i in range(outputs)]
    loop, end = build.append_basic_block("line"), build.append_basic_block("end")
    build.branch(loop)
    build.position_at_end(loop)
    line, place, goal = build.phi(I64), build.phi(I64), build.phi(I64)
    for offset, value in zip(to_d, read(place, line), strict=True):
        where = build.add(goal, offset)
        done = finish(value, where)
        written, align = (done, 4) if target is REGISTER else (narrow(build, done), 2)
        build.store(written, pointer(build, where, target), align=align)
    following = build.add(line, I64(1)), build.add(place, s_line), build.add(goal, d_line)
    feed(entry, loop, *zip((line, place, goal), (I64(0), s, d), following, strict=True))
    build.cbranch(build.icmp_signed("<", following[0], lines), loop, end)
    build.position_at_end(end)


def _read_line(build: Any, place: Any, offsets: list[Any], source: Any) -> list[Any]:
    """A line's registers, in float32."""
    return [_read(build, build.add(place, offset), source) for offset in offsets]


def _read(build: Any, place: Any, kind: Any) -> Any:
    """The register of this kind at an address, in float32."""
    value = build.load(pointer(build, place, kind), align=4 if kind is REGISTER else 2)
    return value if kind is REGISTER else widen(build, value)


def emit_product(build: Any, matrix: Matrix, values: list[Any]) -> list[Any]:
    """The products of the rows of `matrix` and a column of registers.

    Points come in pairs of opposite signs: neighbouring rows, or columns, differ only in signs. For such rows the
    common sums are computed once; for columns, the sums and differences of their registers.
    """
    matrix, values = _pair_columns(build, [[round(x, DIGITS) for x in row] for row in matrix], values)
    done: list[Any] = []
    while len(done) < len(matrix):
        row = matrix[len(done)]
        after = matrix[len(done) + 1] if len(done) + 1 < len(matrix) else row
        even = [(x + y) / 2 for x, y in zip(row, after, strict=True)]
        odd = [(x - y) / 2 for x, y in zip(row, after, strict=True)]
        if _terms(even) and _terms(odd) and _terms(even) + _terms(odd) + 2 < _terms(row) + _terms(after):
            first, second = _sum(build, even, values), _sum(build, odd, values)
            done += [build.fadd(first, second), build.fsub(first, second)]
        else:
            done.append(_sum(build, row, values))
    return done


def _pair_columns(build: Any, matrix: Matrix, values: list[Any]) -> tuple[Matrix, list[Any]]:
    """Replace neighbouring columns that differ only in signs by half their sum and half their difference."""
    columns = [list(column) for column in zip(*matrix, strict=True)]
    place = 0
    while place + 1 < len(columns):
        one, other = columns[place : place + 2]
        if len(matrix) > 2 and all(abs(x) == abs(y) for x, y in zip(one, other, strict=True)) and one != other:
            columns[place : place + 2] = (
                [(x + y) / 2 for x, y in zip(one, other, strict=True)],
                [(x - y) / 2 for x, y in zip(one, other, strict=True)],
            )
            a, b = values[place : place + 2]
            values = [*values[:place], build.fadd(a, b), build.fsub(a, b), *values[place + 2 :]]
            place += 1
        place += 1
    return [list(row) for row in zip(*columns, strict=True)], values


def _terms(row: list[float]) -> int:
    return sum(x != 0 for x in row)


def _sum(build: Any, row: list[float], values: list[Any]) -> Any:
    """The sum of `values` times the numbers of `row`, of which at least one is not 0."""
    terms = [(number, value) for number, value in zip(row, values, strict=True) if number != 0]
    terms.sort(key=lambda term: (term[0] != 1, abs(term[0]) == 1))  # first one that needs no product
    number, total = terms[0]
    if number != 1:
        total = build.fmul(total, splat(build, F32(number)))
    for number, value in terms[1:]:
        if number == 1:
            total = build.fadd(total, value)
        elif number == -1:
            total = build.fsub(total, value)
        else:
            total = multiply_add(build, value, splat(build, F32(number)), total)
    return total


def _call(symbol: str) -> Any:
    @intrinsic
    def transform(
        context: Any, which: Any, lines: Any, s: Any, ss: Any, s_line: Any, d: Any, ds: Any, d_line: Any
    ) -> Any:  # fmt: skip
        """Transform `lines` lines: registers from `s` on, `ss` apart, to others from `d` on, `ds` apart.

        The next line's are `s_line` and `d_line` further on. `which` is what `which_transform` returns.
        """

        return types.void(*[types.intp] * 8), call_of(symbol, _SIGNATURE)

    return transform


transform_input_lines, transform_input_widening, transform_input_narrowing, transform_output_lines = map(
    _call, t.TRANSFORMS
)


def _call_finish(symbol: str) -> Any:
    @intrinsic
    def finish(
        context: Any, which: Any, lines: Any, s: Any, ss: Any, s_line: Any, d: Any, ds: Any, d_line: Any, bias: Any,
        slope: Any, residual: Any, final: Any,
    ) -> Any:  # fmt: skip
        """The same, but to final(slope(outputs + bias) + residual), with the register at `bias`.

        `residual` is laid out like what is written; 0 where there is none.
        """

        return types.void(*[types.intp] * 9, types.float32, types.intp, types.float32), call_of(symbol, _FINISH)

    return finish


finish_lines, finish_lines_narrow = map(_call_finish, t.FINISH)
# The same, but only the largest of each 2 x 2 outputs, of fewer at the end; without residual.
halve_lines, halve_lines_narrow = map(_call_finish, t.HALVE)
