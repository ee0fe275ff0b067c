"""Waiting and clocks in compiled code."""

from __future__ import annotations

from llvmlite import ir

from darknet_py.engines.cpu.compiled import sync


def emit_cycles():
    """The module of a function that returns `cycles`, as text."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.IntType(64), []), "read")
    build = ir.IRBuilder(function.append_basic_block())
    build.ret(sync.read_cycles(build))
    return str(module)


def test_an_x86_processor_counts_its_cycles(monkeypatch):
    monkeypatch.setattr(sync, "_HAS_COUNTER", True)
    assert "readcyclecounter" in emit_cycles()


def test_where_programs_may_not_read_the_counter_the_clock_is_read(monkeypatch):
    monkeypatch.setattr(sync, "_HAS_COUNTER", False)
    monkeypatch.setattr(sync, "_CLOCK", 1)
    module = emit_cycles()
    assert "readcyclecounter" not in module
    assert "clock_gettime" in module
