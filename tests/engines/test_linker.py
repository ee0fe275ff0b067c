"""Linking machine code: joined once, it runs at any address; what cannot be joined is left to LLVM."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from darknet_py.engines.cpu import compiler, jit, linker
from darknet_py.engines.cpu.isa import ISAS, PROCESSOR
from darknet_py.engines.cpu.linked import find_functions, place
from darknet_py.engines.cpu.linker import UnlinkableError, join_objects
from darknet_py.engines.cpu.table import SYMBOLS

needs_x86_64 = pytest.mark.skipif(
    not llvm.get_process_triple().startswith("x86_64"), reason="others are LLVM's to link"
)
I64 = ir.IntType(64)


def begin_function(module, name, count):
    """A function of `count` int64 that returns one, and what builds it."""
    function = ir.Function(module, ir.FunctionType(I64, [I64] * count), name)
    return function, ir.IRBuilder(function.append_basic_block())


def emit_caller():
    """With a table of constants' addresses; calls functions of the process, of another object, and of neither."""
    module = ir.Module()
    numbers = emit_constant(module, "numbers", I64, [I64(30), I64(12)])
    table = emit_constant(module, "table", I64.as_pointer(), [numbers.gep([I64(0), I64(index)]) for index in range(2)])
    function, build = begin_function(module, "pick", 2)
    index, number = function.args
    picked = build.load(build.load(build.gep(table, [I64(0), index])))
    for name in ("labs", "twice", "own"):
        number = build.call(ir.Function(module, ir.FunctionType(I64, [I64]), name), [number])
    build.ret(build.add(picked, number))
    return str(module)


def emit_constant(module, name, kind, values):
    constant = ir.GlobalVariable(module, ir.ArrayType(kind, len(values)), name)
    constant.linkage, constant.global_constant = "private", True
    constant.initializer = ir.Constant(ir.ArrayType(kind, len(values)), values)
    return constant


def emit_called():
    module = ir.Module()
    function, build = begin_function(module, "twice", 1)
    build.ret(build.add(*function.args * 2))
    return str(module)


def emit_nobodys():
    """Calls a function that does not exist."""
    module = ir.Module()
    _, build = begin_function(module, "call", 0)
    build.ret(build.call(ir.Function(module, ir.FunctionType(I64, []), "nobody"), []))
    return str(module)


def emit_written(first):
    """Writes a variable, which is in another section where it is 0 at first."""
    module = ir.Module()
    variable = ir.GlobalVariable(module, I64, "n")
    variable.initializer = I64(first)
    _, build = begin_function(module, "write", 0)
    build.store(I64(2), variable)
    build.ret(I64(0))
    return str(module)


OWN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda number: number + 1000)
OWN_PLACE = {"own": ctypes.cast(OWN, ctypes.c_void_p).value}


@needs_x86_64
def test_joined_objects_run_wherever_they_come_to_lie():
    linked = join_objects([compiler._assemble(module) for module in (emit_caller(), emit_called())], OWN_PLACE)
    assert linked.imports.keys() == {"labs", "own"}
    starts = [place(linked, OWN_PLACE) for _ in range(2)]
    assert starts[0] != starts[1]
    for start in starts:
        pick = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(start + linked.entries["pick"])
        assert [pick(0, -3), pick(1, 5)] == [30 + 6 + 1000, 12 + 10 + 1000]


@needs_x86_64
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (emit_nobodys(), "nobody"),
        (emit_written(1), "a section with flags"),
        (emit_written(0), "n in section"),
    ],
)
def test_what_is_not_known_is_not_joined(module, reason):
    with pytest.raises(UnlinkableError, match=reason):
        join_objects([compiler._assemble(module)], {})


@pytest.mark.parametrize(("at", "byte"), [(0, b"M"), (4, b"\1"), (18, b"\xb7")])
def test_objects_of_other_systems_and_processors_are_not_joined(at, byte):
    content = bytearray(compiler._assemble(emit_called()))
    content[at : at + 1] = byte
    with pytest.raises(UnlinkableError, match="another system or processor"):
        join_objects([bytes(content)], {})


@pytest.mark.parametrize("joins", [pytest.param(True, marks=needs_x86_64), False])
def test_kernels_run_whoever_links_them(joins, monkeypatch):
    def refuse(*_):
        raise UnlinkableError

    modules = [
        f"define i64 @{SYMBOLS[name]}({', '.join(f'i64 %a{i}' for i in range(count))}) {{\n"
        f"  %answer = add i64 %a{count - 1}, {count}\n  ret i64 %answer\n}}"
        for name, count in jit.COUNTS.items()
    ]
    objects = [*map(compiler._assemble, modules)]
    monkeypatch.setattr(compiler, "compile_kernels", lambda *_: objects)
    if not joins:
        monkeypatch.setattr(linker, "join_objects", refuse)
    native = jit.Native(jit._make(True))
    assert hasattr(native, "_engine") is not joins
    for name, count in jit.COUNTS.items():
        assert getattr(native, name)(*range(100, 100 + count)) == 100 + count - 1 + count


def test_an_unknown_function_is_not_found():
    assert find_functions(["here"], {"here": 7}) == {"here": 7}
    with pytest.raises(AttributeError, match="nobody_has_this"):
        find_functions(["nobody_has_this"], {})


def test_the_processor_has_what_llvm_says_that_it_has():
    known = llvm.get_host_cpu_features()
    wanted = {name for isa in ISAS.values() for name in (*(isa.needs or ()), *([isa.dots.feature] if isa.dots else []))}
    assert {name for name in wanted if PROCESSOR.features.get(name)} == {name for name in wanted if known.get(name)}
