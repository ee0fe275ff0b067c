"""Operations: both sides of the CPU's table have the same names, and leave none out."""

from __future__ import annotations

import ast
import re

import pytest
from conftest import ROOT

from darknet_py.engines.cpu import operations as o
from darknet_py.engines.cpu import table as t
from darknet_py.engines.cpu.builder import Table

COMPILED = ROOT / "darknet_py/engines/cpu/compiled"
FUNCTIONS = {
    node.name: node
    for path in COMPILED.glob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef) and "kernel" in map(ast.unparse, node.decorator_list)
}
WALKS = [ast.parse((COMPILED / name).read_text()) for name in ("walk.py", "training.py")]


def columns(node):
    """The columns of `op` and `numbers` that are read within `node`."""
    rows = {"op": o.INTEGERS, "numbers": o.NUMBERS}
    read = {(ast.unparse(n.value), n.attr) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    assert all(name in rows[row] for row, name in read if row in rows)
    return {name for row, name in read if row in rows}


def reached(node, seen):
    """The functions that `node` calls, and that these call."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in FUNCTIONS.keys() - seen:
            seen.add(call.func.id)
            reached(FUNCTIONS[call.func.id], seen)
    return seen


def branch(operation):
    """The walk's branch for an operation."""
    code = "_".join([*re.findall("[A-Z][a-z]*", operation.__name__), "OP"]).upper()
    assert getattr(t, code) == operation.opcode
    return next(
        ast.Module(node.body, [])
        for walk in WALKS
        for node in ast.walk(walk)
        if isinstance(node, ast.If) and ast.unparse(node.test) == f"code == t.{code}"
    )


@pytest.mark.parametrize("operation", o.OPERATIONS)
def test_a_kernel_reads_all_that_its_operation_is_told_and_nothing_else(operation):
    node = branch(operation)
    read = columns(node).union(*(columns(FUNCTIONS[name]) for name in reached(node, set())))
    # The walk reads both slopes for all operations; functions that need them take them by name.
    given = {ast.unparse(argument) for call in ast.walk(node) if isinstance(call, ast.Call) for argument in call.args}
    assert read | ({"slope", "final"} & given) == operation.fields.keys()


def test_a_name_means_the_same_to_all_operations():
    assert not {*o.INTEGERS} & {*o.NUMBERS}


def test_a_field_that_is_forgotten_or_unknown_is_an_error():
    told = dict.fromkeys(o.ToBlocks.fields, 1)
    o.ToBlocks(**told)
    with pytest.raises(TypeError, match="ToBlocks: missing or unknown: width"):
        o.ToBlocks(**{name: value for name, value in told.items() if name != "width"})
    with pytest.raises(TypeError, match="ToBlocks: missing or unknown: stride"):
        o.ToBlocks(**told, stride=1)


def test_a_record_becomes_a_row_of_each_kind_of_number():
    table = Table()
    table.add(o.Softmax(a=1, c=2, cell=3, images=4, channels=5, groups=6, inverse_temperature=0.5))
    table.freeze()
    row = dict(zip(o.INTEGERS, table.table[0].tolist(), strict=True))
    expected = dict(opcode=o.Softmax.opcode, a=1, c=2, cell=3, images=4, channels=5, groups=6)
    assert {name: value for name, value in row.items() if value} == expected
    assert table.numbers[0].tolist() == [0.5 * (name == "inverse_temperature") for name in o.NUMBERS]
