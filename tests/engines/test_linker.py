"""Linking machine code: joined once, it runs at any address; what cannot be joined is left to LLVM."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import pytest

from darknet_py.engines.cpu import compiler, jit, linker
from darknet_py.engines.cpu.isa import ISAS, PROCESSOR
from darknet_py.engines.cpu.linked import find_functions, place
from darknet_py.engines.cpu.linker import UnlinkableError, join_objects
from darknet_py.engines.cpu.table import SYMBOLS

needs_x86_64 = pytest.mark.skipif(
    not llvm.get_process_triple().startswith("x86_64"), reason="others are LLVM's to link"
)
# A table of constants' addresses; functions of another object, of the process, and of a name of its own.
CALLER = """
@numbers = private constant [2 x i64] [i64 30, i64 12]
@table = private constant [2 x ptr] [ptr @numbers, ptr getelementptr ([2 x i64], ptr @numbers, i64 0, i64 1)]
declare i64 @twice(i64)
declare i64 @labs(i64)
declare i64 @own(i64)
define i64 @pick(i64 %index, i64 %number) {
  %slot = getelementptr [2 x ptr], ptr @table, i64 0, i64 %index
  %place = load ptr, ptr %slot
  %picked = load i64, ptr %place
  %positive = call i64 @labs(i64 %number)
  %doubled = call i64 @twice(i64 %positive)
  %changed = call i64 @own(i64 %doubled)
  %sum = add i64 %picked, %changed
  ret i64 %sum
}
"""
CALLED = "define i64 @twice(i64 %number) {\n  %sum = add i64 %number, %number\n  ret i64 %sum\n}"
OWN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda number: number + 1000)
OWN_PLACE = {"own": ctypes.cast(OWN, ctypes.c_void_p).value}


@needs_x86_64
def test_joined_objects_run_wherever_they_come_to_lie():
    linked = join_objects([compiler._assemble(module) for module in (CALLER, CALLED)], OWN_PLACE)
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
        ("declare void @nobody()\ndefine void @f() {\n  call void @nobody()\n  ret void\n}", "nobody"),
        ("@n = global i64 1\ndefine void @f() {\n  store i64 2, ptr @n\n  ret void\n}", "a section with flags"),
        ("@n = global i64 0\ndefine void @f() {\n  store i64 2, ptr @n\n  ret void\n}", "n in section"),
    ],
)
def test_what_is_not_known_is_not_joined(module, reason):
    with pytest.raises(UnlinkableError, match=reason):
        join_objects([compiler._assemble(module)], {})


@pytest.mark.parametrize(("at", "byte"), [(0, b"M"), (4, b"\1"), (18, b"\xb7")])
def test_objects_of_other_systems_and_processors_are_not_joined(at, byte):
    content = bytearray(compiler._assemble(CALLED))
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
