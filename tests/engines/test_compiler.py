"""Which process compiles which parts of the kernels, and the progress that is reported."""

from __future__ import annotations

import gc
from contextlib import nullcontext

import pytest

from darknet_py.engines.cpu import compiler
from darknet_py.engines.cpu.compiler import FUNCTIONS, HERE, MODULES
from darknet_py.engines.cpu.table import APART, COUNTS

NAMES = [*MODULES, *FUNCTIONS]


class Other:
    """A stand-in for another process."""

    def __init__(self, made):
        self.made = made

    def receive(self, patience):
        return self.made


@pytest.fixture
def compile_kernels(monkeypatch):
    """Compile, given what another process has made; return the objects, what was compiled here, and the progress."""

    def compile_kernels(alone, made):
        here, told = [], []

        def compile_part(name, tell):
            here.append(name)
            tell(0.5)
            return name.encode()

        monkeypatch.setattr(compiler, "_compile_part", compile_part)
        monkeypatch.setattr(compiler, "Aside", lambda *_: nullcontext(Other(made)))
        return compiler.compile_kernels(alone, told.append), here, told

    return compile_kernels


def test_every_function_is_a_part():
    assert FUNCTIONS.keys() == {*COUNTS, *APART}
    assert {*HERE} < FUNCTIONS.keys()


def test_all_are_compiled_once_and_come_in_the_same_order_whoever_compiles_them(compile_kernels):
    other = {name: name.encode() for name in NAMES if name not in HERE}
    for alone, made, here in ((True, None, NAMES), (False, other, [*HERE]), (False, None, [*HERE, *other])):
        objects, compiled, told = compile_kernels(alone, made)
        assert objects == [name.encode() for name in NAMES]
        assert compiled == here
        assert told[-1] == 1
        assert min(told) > 0
        assert max(told) == 1
        if made is not None or alone:
            assert told == sorted(told)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_calls_kernels_by_which_its_share_is_told(name):
    from darknet_py.engines.cpu.compiled import entry, whole

    assert whole.find_kernels(getattr(entry, name))


def test_the_share_that_is_told_grows_until_all_kernels_are_compiled():
    told = []
    compiler.compile_parts(["work"], told.append)
    assert told == sorted(told)
    assert told[-2:] == [1, 1]  # of the kernels, then of the part


def test_what_a_program_has_garbage_collection_leave_out_stays_all_that_is(monkeypatch):
    counts = []
    monkeypatch.setattr(compiler, "_compile_part", lambda name, tell: counts.append(gc.get_freeze_count()) or b"")
    gc.unfreeze()
    try:
        compiler.compile_parts(["work"])
        assert gc.get_freeze_count() == 0 < counts.pop()
        gc.freeze()
        theirs = gc.get_freeze_count()
        mine = [[] for _ in range(10_000)]
        compiler.compile_parts(["work"])
        assert max(counts.pop(), gc.get_freeze_count()) <= theirs  # some may be gone
        assert mine
    finally:
        gc.unfreeze()
