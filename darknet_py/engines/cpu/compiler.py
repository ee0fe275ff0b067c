"""Compiling the kernels with Numba and LLVM, and LLVM's linking of them: what a start does without, if it can."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import llvmlite.binding as llvm

from . import table as t
from .isa import ASKED, ISA


@dataclass(frozen=True)
class Code:
    """Machine code: object files, and what the functions of the kernels are called in them."""

    symbols: dict[str, str]
    objects: list[bytes]


def compile_kernels(counts: Mapping[str, int], own: Mapping[str, int]) -> Code:
    """Compile functions of `compiled.entry`, each of so many int64; addresses of `own` are known by their names."""
    import numba

    if ASKED:
        vars(numba.config).update(CPU_NAME=ISA.cpu, CPU_FEATURES=ISA.features)
    from .compiled import accumulate, entry, grouped_microkernel, kernel, microkernel

    code = Code({}, [_assemble(module.emit()) for module in (microkernel, grouped_microkernel, accumulate)])
    # Numba links what it compiles, and must find these; they are linked anew, with the rest.
    engine = link(code.objects, own)
    for symbol in (*t.MULTIPLY, t.SUM_WINDOWS, t.ACCUMULATE):
        llvm.add_symbol(symbol, engine.get_function_address(symbol))
    for name, count in counts.items():
        function = kernel(getattr(entry, name))
        function.compile(f"int64({', '.join(['int64'] * count)})")
        (compiled,) = function.overloads.values()
        _, _, (binary, _) = compiled.library.serialize_using_object_code()
        code.symbols[name] = compiled.fndesc.llvm_func_name
        code.objects.append(binary)
    return code


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
