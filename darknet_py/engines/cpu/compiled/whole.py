"""Machine code of a function and all that it calls, which LLVM optimises once, when they lie together.

Numba by itself has each function optimised with what it calls, and made machine code, before it compiles those that
call it, and there again: that took twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba.core import codegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from . import kernel
from .vector import I32, I64


class _Library(codegen.JITCodeLibrary):
    """A function's code, made simpler by itself, and that of what it calls.

    What was not simpler before it was inlined came out worse: a pooling took 1.25 times as long.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_specific(self) -> None:
        pass


class _Codegen(codegen.JITCPUCodegen):
    _library_class = _Library

    def _add_module(self, module: Any) -> None:
        pass

    def set_env(self, env_name: str, env: Any) -> None:
        pass


def compile_whole(function: Callable[..., int], count: int, symbol: str) -> bytes:
    """An object file with the function `symbol`, in C's terms: it takes `count` int64 and returns one."""
    with global_compiler_lock:
        with _unoptimised():
            dispatcher = kernel(function)
            dispatcher.compile(f"int64({', '.join(['int64'] * count)})")
        (compiled,) = dispatcher.overloads.values()
        library = cpu_target.target_context.codegen().create_library(symbol)
        library.enable_object_caching()
        library.add_ir_module(_emit_call(symbol, count, compiled.fndesc.llvm_func_name))
        library.add_linking_library(compiled.library)
        library.finalize()
    _, _, (binary, _) = library.serialize_using_object_code()
    return bytes(binary)


@contextmanager
def _unoptimised() -> Iterator[None]:
    """Let Numba leave all that it compiles to what links it; nobody else compiles anything meanwhile."""
    context = cpu_target.target_context
    context.refresh()  # this compiles Numba's own runtime, which others call
    ours = _Codegen("darknet")
    vars(context)["codegen"] = lambda: ours
    try:
        yield
    finally:
        del vars(context)["codegen"]


def _emit_call(symbol: str, count: int, function: str) -> ir.Module:
    """A module with the function `symbol`, which calls what Numba compiled as `function`.

    Numba's convention: results go to the address given first, exceptions, of which there are none, to the second.
    """
    module = ir.Module(symbol)
    nothing = ir.IntType(8).as_pointer()
    plain = ir.FunctionType(I64, [I64] * count)
    convention = ir.FunctionType(I32, [I64.as_pointer(), nothing.as_pointer(), *plain.args])
    outer = ir.Function(module, plain, symbol)
    build = ir.IRBuilder(outer.append_basic_block())
    result = build.alloca(I64)
    build.call(ir.Function(module, convention, function), [result, build.alloca(nothing), *outer.args])
    build.ret(build.load(result))
    return module
