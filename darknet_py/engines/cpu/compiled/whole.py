"""Machine code of a function and all that it calls, which LLVM optimises once, as a whole.

By itself Numba has each function optimised, with what it calls, and compiled to machine code, and all that again with
each of its callers: that took twice as long. The methods that are replaced here are no part of Numba's interface: where
a version lacks one, or it takes other parameters, Numba goes its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from inspect import isfunction, signature
from typing import Any

from llvmlite import ir
from numba.core import codegen, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import is_jitted

from . import kernel
from .vector import I64


class _Library(codegen.JITCodeLibrary):
    """A function's code, simplified by itself, and that of what it calls.

    It is neither optimised nor compiled to machine code here, as none of it is run: what links it has both done.
    Code that was not simplified before it was inlined came out worse: a pooling took 1.25 times as long.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_specific(self) -> None:
        pass


class _Codegen(codegen.JITCPUCodegen):
    """Makes such libraries, but loads none of them, so that there is nothing in them to write to, either."""

    _library_class = _Library

    def _add_module(self, module: Any) -> None:
        pass

    def set_env(self, env_name: str, env: Any) -> None:
        pass


def _are_known() -> bool:
    """Whether all methods that are replaced here are Numba's, with the same parameters."""
    return all(
        hasattr(theirs, name) and [*signature(method).parameters] == [*signature(getattr(theirs, name)).parameters]
        for ours, theirs in ((_Library, codegen.JITCodeLibrary), (_Codegen, codegen.JITCPUCodegen))
        for name, method in vars(ours).items()
        if isfunction(method)
    )


def find_kernels(function: Callable[..., int]) -> set[Any]:
    """All kernels that a function calls, and that these call."""
    found, functions = set[Any](), [function]
    for caller in functions:
        called: Iterator[Any] = (caller.__globals__.get(name) for name in caller.__code__.co_names)
        new = {kernel for kernel in called if is_jitted(kernel)} - found
        found |= new
        functions += [kernel.py_func for kernel in new]
    return found


def compile_whole(function: Callable[..., int], count: int, symbol: str) -> bytes:
    """An object file with the function `symbol`, in C's terms: it takes `count` int64 and returns one."""
    with global_compiler_lock:
        with _unoptimised() if _are_known() else nullcontext():
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
    """Within the context, let Numba leave optimising to what links its code; nothing else may be compiled meanwhile."""
    context = cpu_target.target_context
    context.refresh()  # this compiles Numba's own runtime, which others call
    ours = _Codegen("darknet")
    vars(context)["codegen"] = lambda: ours
    try:
        yield
    finally:
        del vars(context)["codegen"]


def _emit_call(symbol: str, count: int, function: str) -> ir.Module:
    """A module with the function `symbol`, which calls what Numba compiled as `function`, and raises no exceptions."""
    module, numbers = ir.Module(symbol), [types.int64] * count
    outer = ir.Function(module, ir.FunctionType(I64, [I64] * count), symbol)
    build = ir.IRBuilder(outer.append_basic_block())
    convention = cpu_target.target_context.call_conv
    inner = ir.Function(module, convention.get_function_type(types.int64, numbers), function)
    _, result = convention.call_function(build, inner, types.int64, numbers, outer.args)
    build.ret(result)
    return module
