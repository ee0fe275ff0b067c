"""Compiling the kernels with Numba and LLVM, and LLVM's linking of them: what a start does without, if it can."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import NamedTuple

import llvmlite.binding as llvm

from . import table as t
from .aside import Aside
from .isa import ASKED, ISA
from .linked import OWN

# The parts that are compiled each by itself, and the seconds they took on one machine: modules of LLVM's assembly, and
# functions of `compiled.entry` with how many functions Numba compiles for each.
MODULES = {"microkernel": 3.3, "grouped_microkernel": 5.1, "accumulate": 0.2}
FUNCTIONS = {"walk": (15.5, 78), "work": (0.9, 14), "interpolate": (0.6, 8), "warp": (0.9, 15), "train": (5.5, 88)}
HERE = ("walk", "work")  # where another process compiles the others
PATIENCE, FACTOR = 10.0, 3  # it is waited for so many seconds, and times what this process took
Tell = Callable[[float], None]


class Part(NamedTuple):
    """What is compiled by itself.

    Attributes
    ----------
    symbol : str
        What a function of `compiled.entry` is called there; nothing for a module.
    objects : list of bytes
        Object files.
    """

    symbol: str
    objects: list[bytes]


class Code(NamedTuple):
    """Machine code: object files, and what the functions that Python calls are called in them."""

    symbols: dict[str, str]
    objects: list[bytes]


def compile_kernels(alone: bool, tell: Tell) -> Code:
    """Compile all parts, with the help of another process unless `alone`; `tell` is told what share is done."""
    names = [*MODULES, *FUNCTIONS]
    started = time.monotonic()
    with ExitStack() as stack:
        rest = [] if alone else [name for name in names if name not in HERE]
        aside = None if alone else stack.enter_context(Aside(compile_parts, rest))
        made = compile_parts([name for name in names if name not in rest], tell)
        if aside is not None:
            made |= aside.receive(PATIENCE + FACTOR * (time.monotonic() - started)) or {}
    made |= compile_parts([name for name in names if name not in made], tell)
    symbols = {name: made[name].symbol for name in t.COUNTS}
    return Code(symbols, [binary for name in names for binary in made[name].objects])


def compile_parts(names: Iterable[str], tell: Tell = lambda share: None) -> dict[str, Part]:
    """Compile some of the parts, by their names; `tell` is told what share of them is done."""
    seconds = {name: MODULES.get(name) or FUNCTIONS[name][0] for name in names}
    total, made = sum(seconds.values()), dict[str, Part]()
    for name in seconds:
        before = sum(seconds[other] for other in made)
        made[name] = _compile_part(name, partial(_tell_part, tell, before / total, seconds[name] / total))
        tell((before + seconds[name]) / total)
    return made


def _tell_part(tell: Tell, before: float, share: float, done: float) -> None:
    tell(before + share * done)


def _compile_part(name: str, tell: Tell) -> Part:
    """Compile one of the parts; `tell` is told what share of it is done."""
    with _cores_untold():
        import numba

    if ASKED:
        vars(numba.config).update(CPU_NAME=ISA.cpu, CPU_FEATURES=ISA.features)
    if name in MODULES:
        return Part("", [_assemble(import_module(f".compiled.{name}", __package__).emit())])
    from .compiled import apart, entry, kernel

    # Numba links what it compiles and must find these, but none is called: all are linked anew, with the rest.
    for symbol in (*OWN, *t.MULTIPLY, t.SUM_WINDOWS, t.ACCUMULATE, *t.APART.values()):
        llvm.add_symbol(symbol, OWN["NRT_MemInfo_call_dtor"])
    function = kernel(getattr(entry, name))
    count = t.COUNTS.get(name, t.APART_FIELDS)
    with _count_functions(lambda done: tell(min(done / FUNCTIONS[name][1], 1))):
        function.compile(f"int64({', '.join(['int64'] * count)})")
    (compiled,) = function.overloads.values()
    _, _, (binary, _) = compiled.library.serialize_using_object_code()
    symbol = compiled.fndesc.llvm_func_name
    return Part(symbol, [binary, *([_assemble(apart.emit(t.APART[name], symbol))] if name in t.APART else [])])


@contextmanager
def _cores_untold() -> Iterator[None]:
    """Within the context a system that does not let this process ask for its cores has no such question.

    Numba, as it is loaded, knows systems without, but not the refusal of a sandbox.
    """
    ask = getattr(os, "sched_getaffinity", None)
    try:
        if ask is not None:
            ask(0)
            ask = None
    except OSError:
        del os.sched_getaffinity
    try:
        yield
    finally:
        if ask is not None:
            os.sched_getaffinity = ask


@contextmanager
def _count_functions(tell: Callable[[int], None]) -> Iterator[None]:
    """Tell how many functions Numba has compiled within the context, at each."""
    from numba.core import event

    class Counter(event.Listener):
        done = 0

        def on_start(self, event: event.Event) -> None:
            pass

        def on_end(self, event: event.Event) -> None:
            self.done += 1
            tell(self.done)

    with event.install_listener("numba:compile", Counter()):
        yield


def link(objects: Iterable[bytes], own: Mapping[str, int]) -> llvm.ExecutionEngine:
    """What holds the linked objects and tells their functions' addresses."""
    for name in ("PyThread_acquire_lock", "PyThread_release_lock"):  # where Python is a program, not a library
        llvm.add_symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)
    for name, place in own.items():
        llvm.add_symbol(name, place)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for binary in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(binary))
    engine.finalize_object()
    return engine


def _assemble(module: str) -> bytes:
    """Machine code of a module in LLVM's assembly, for this machine or the instruction set asked for."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    if ASKED:
        cpu, features = ISA.cpu, ISA.features
    machine = llvm.Target.from_default_triple().create_target_machine(cpu, features, opt=3, jit=True)
    binary: bytes = machine.emit_object(llvm.parse_assembly(module))
    return binary
