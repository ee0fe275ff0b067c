"""Compiling the kernels, once on a machine, and loading what was compiled.

Numba only compiles. A program that finds its kernels in the cache links their machine code with llvmlite and never
imports Numba, which took half of its time on a small network.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

import llvmlite.binding as llvm

from ...cache import cache_dir, keep
from ...errors import EngineError
from ...limits import memory_limits, tell_size
from . import table as t
from .isa import ASKED, ISA

LOG = logging.getLogger(__name__)
# How many int64 each function of `compiled.entry` takes; all return one.
COUNTS = {"run": 4, "serve": 3, "interpolate": 14, "warp": 12}
COMPILING = 170_000_000  # bytes of memory at least: in 220 MB it was killed, in 248 it was done
SOURCES = ("compiled/*.py", "arena.py", "isa.py", "jit.py", "operations/*.py", "table.py")


@dataclass(frozen=True)
class Code:
    """Machine code: object files, and what the functions of `COUNTS` are called in them."""

    symbols: dict[str, str]
    objects: list[bytes]


class Native:
    """The functions of `compiled.entry`, compiled."""

    run: Callable[..., int]
    serve: Callable[..., int]
    interpolate: Callable[..., int]
    warp: Callable[..., int]

    def __init__(self, code: Code) -> None:
        # What frees memory that an array owns; ours own none, but LLVM links nothing where a name is unknown.
        never = ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value
        llvm.add_symbol("NRT_MemInfo_call_dtor", never)
        _add_locks()
        self._engine = _link(code.objects)
        for name, symbol in code.symbols.items():
            setattr(self, name, _wrap(self._engine.get_function_address(symbol), COUNTS[name]))


def _add_locks() -> None:
    """Let LLVM find Python's own locks."""
    for name in ("PyThread_acquire_lock", "PyThread_release_lock"):
        llvm.add_symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)


def _link(objects: list[bytes]) -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for binary in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(binary))
    engine.finalize_object()
    return engine


def _wrap(start: int, count: int) -> Callable[..., int]:
    """The function at an address, of `count` int64, in Python.

    Numba's convention: results go to the address given first, exceptions, of which there are none, to the second.
    """
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (2 + count))(start)

    def call(*arguments: int) -> int:
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        function(ctypes.addressof(result), ctypes.addressof(exception), *arguments)
        return result.value

    return call


@cache
def load_kernels() -> Native:
    """Take the kernels from the cache, or compile and keep them; a damaged file is made anew."""
    return Native(_unpack(keep(cache_dir() / "kernels" / f"{_key()}.bin", _make)))


def _make(kept: bool) -> bytes:
    for limit in memory_limits():  # or the system would kill the process without a word
        if limit.used + COMPILING > limit.size:
            needed, most = tell_size(limit.used + COMPILING), tell_size(limit.size)
            raise EngineError(f"compiling kernels takes {needed}, more than {limit.whose} {most}", option="engine=cpu")
    once = ", once" if kept else ""
    LOG.info("compiling kernels for this machine%s: about half a minute", once)
    return _pack(_compile())


def _key() -> str:
    """What the compiled kernels depend on."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{version('numba')} {version('llvmlite')} {ISA.name} {ASKED}".encode())
    digest.update(f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode())
    for source in sorted(path for pattern in SOURCES for path in folder.glob(pattern)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _pack(code: Code) -> bytes:
    """A line that tells symbols and sizes, then the object files."""
    header = json.dumps({"symbols": code.symbols, "sizes": [len(binary) for binary in code.objects]})
    return header.encode() + b"\n" + b"".join(code.objects)


def _unpack(content: bytes) -> Code:
    """What `_pack` has packed."""
    header, _, binaries = content.partition(b"\n")
    fields = json.loads(header)
    ends = list(accumulate(fields["sizes"]))
    return Code(
        fields["symbols"], [binaries[end - size : end] for size, end in zip(fields["sizes"], ends, strict=True)]
    )


def _compile() -> Code:
    import numba

    if ASKED:
        vars(numba.config).update(CPU_NAME=ISA.cpu, CPU_FEATURES=ISA.features)
    from .compiled import accumulate, entry, kernel, microkernel

    code = Code({}, [_assemble(module.emit()) for module in (microkernel, accumulate)])
    _add_locks()
    # Numba links what it compiles, and must find these; `Native` links anew, to its own.
    engine = _link(code.objects)
    for symbol in (*t.MULTIPLY, t.ACCUMULATE):
        llvm.add_symbol(symbol, engine.get_function_address(symbol))
    for name, count in COUNTS.items():
        function = kernel(getattr(entry, name))
        function.compile(f"int64({', '.join(['int64'] * count)})")
        (compiled,) = function.overloads.values()
        _, _, (binary, _) = compiled.library.serialize_using_object_code()
        code.symbols[name] = compiled.fndesc.llvm_func_name
        code.objects.append(binary)
    return code


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
