"""Compiling the kernels with Numba and LLVM, and linking them with LLVM: a start avoids both where it can."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from itertools import accumulate
from typing import Any

import llvmlite.binding as llvm

from ..aside import Aside
from . import table as t
from .isa import ASKED, ISA
from .linked import OWN

# The parts that are compiled separately, and the seconds that each took on one machine: modules of LLVM's assembly, and
# functions of `compiled.entry`.
MODULES = {
    "microkernel": 2.4,
    "grouped_microkernel": 2.6,
    "accumulate": 0.2,
    "bending": 0.5,
    "transforms": 0.5,
    "planar_microkernel": 0.1,
}
FUNCTIONS = {"walk": 8.2, "work": 0.6, "interpolate": 0.3, "warp": 0.7, "train": 3.9}
SECONDS = MODULES | FUNCTIONS
HERE = ("walk", "work", "interpolate", "warp")  # compiled in this process where another compiles the rest
PATIENCE, FACTOR = 10.0, 3  # how long to wait for it: seconds, plus so many times what this process took
Tell = Callable[[float], None]


def compile_kernels(alone: bool, tell: Tell) -> list[bytes]:
    """Object files of all parts, compiled with the help of another process unless `alone`.

    `tell` is called with the share that is done.
    """
    names = [*SECONDS]
    started = time.monotonic()
    with ExitStack() as stack:
        rest = [] if alone else [name for name in names if name not in HERE]
        aside = None if alone else stack.enter_context(Aside(compile_parts, rest))
        made = compile_parts([name for name in names if name not in rest], tell)
        if aside is not None:
            made |= aside.receive(PATIENCE + FACTOR * (time.monotonic() - started)) or {}
    made |= compile_parts([name for name in names if name not in made], tell)
    return [made[name] for name in names]


def compile_parts(names: Iterable[str], tell: Tell = lambda share: None) -> dict[str, bytes]:
    """Object files of some of the parts, by their names; `tell` is called with the share of them that is done."""
    names = [*names]
    moments, made = [*accumulate((SECONDS[name] for name in names), initial=0.0)], dict[str, bytes]()
    with _few_to_collect():
        for name, start, end in zip(names, moments, moments[1:], strict=False):
            before, after = start / moments[-1], end / moments[-1]
            made[name] = _compile_part(name, partial(_tell_part, tell, before, after - before))
            tell(after)
    return made


@contextmanager
def _few_to_collect() -> Iterator[None]:
    """Make Python's garbage collector ignore what exists already: it took a tenth of the time.

    Not where a program has made it ignore something itself: that would be undone at the end, too.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _tell_part(tell: Tell, before: float, share: float, done: float) -> None:
    tell(before + share * done)


def _compile_part(name: str, tell: Tell) -> bytes:
    """The object file of one of the parts; `tell` is called with the share of it that is done."""
    with _cores_untold():
        import numba

    if ASKED:
        vars(numba.config).update(CPU_NAME=ISA.cpu, CPU_FEATURES=ISA.features)
    if name in MODULES:
        return _assemble(import_module(f".compiled.{name}", __package__).emit())
    from .compiled import entry, whole

    # Numba links what it compiles and must find these, but none is called: all are linked again, with the rest.
    for symbol in (
        *OWN,
        *t.MULTIPLY,
        *t.TRANSFORMS,
        *t.FINISH,
        *t.HALVE,
        *t.PLANAR_TILES,
        t.SUM_WINDOWS,
        t.ACCUMULATE,
        t.BEND,
        *t.SYMBOLS.values(),
    ):
        llvm.add_symbol(symbol, OWN["NRT_MemInfo_call_dtor"])
    function, count = getattr(entry, name), t.COUNTS.get(name, t.APART_FIELDS)
    with _watch(whole.find_kernels(function), tell):
        return whole.compile_whole(function, count, t.SYMBOLS[name])


@contextmanager
def _cores_untold() -> Iterator[None]:
    """Remove `os.sched_getaffinity` within the context where the system refuses to let this process call it.

    Numba, on import, handles systems without it, but not the refusal of a sandbox.
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
def _watch(kernels: Collection[Any], tell: Tell) -> Iterator[None]:
    """Call `tell` with the share of `kernels` that is compiled, whenever Numba compiles something in the context."""
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: event.Event) -> None:
            pass

        def on_end(self, event: event.Event) -> None:
            tell(sum(bool(kernel.overloads) for kernel in kernels) / len(kernels))

    with event.install_listener("numba:compile", Listener()):
        yield


def link(objects: Iterable[bytes], own: Mapping[str, int]) -> llvm.ExecutionEngine:
    """The engine that holds the linked objects and returns their functions' addresses."""
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
