"""Threads in compiled code: atomic counters and waiting for them."""

from __future__ import annotations

import os
import sys
from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import kernel
from .vector import I64, pointer

SPINS = 20_000  # turns of waiting before the core is offered to others
_HAS_YIELD = os.name == "posix"
_KNOWS_CORE = sys.platform == "linux"


@intrinsic
def fetch_add(context: Any, address: Any, value: Any) -> Any:
    """Add `value` to the int64 at `address`, all threads seeing it; return what it was."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.atomic_rmw("add", pointer(build, args[0], I64), args[1], "seq_cst")

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def exchange(context: Any, address: Any, value: Any) -> Any:
    """Set the int64 at `address` to `value`, all threads seeing it; return what it was."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.atomic_rmw("xchg", pointer(build, args[0], I64), args[1], "seq_cst")

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def fetch(context: Any, address: Any) -> Any:
    """The int64 at `address`, as other threads left it."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.load_atomic(pointer(build, args[0], I64), "acquire", 8)

    return types.intp(types.intp), codegen


@intrinsic
def yield_core(context: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        if _HAS_YIELD:
            signature = ir.FunctionType(ir.IntType(32), [])
            build.call(cgutils.get_or_insert_function(build.module, signature, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def current_core(context: Any) -> Any:
    """The number of the core that this runs on; -1 where the system does not tell."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        if not _KNOWS_CORE:
            return I64(-1)
        signature = ir.FunctionType(ir.IntType(32), [])
        core = build.call(cgutils.get_or_insert_function(build.module, signature, "sched_getcpu"), [])
        return build.sext(core, I64)

    return types.intp(), codegen


@intrinsic
def _int64_pointer(context: Any, address: Any) -> Any:
    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return pointer(build, args[0], I64)

    return types.CPointer(types.int64)(types.intp), codegen


@kernel
def int64s(address, count):
    """The `count` int64 at `address`, as an array."""
    return carray(_int64_pointer(address), (count,))


@intrinsic
def cycles(context: Any) -> Any:
    """The processor's cycle counter, which runs at one rate of its own."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        counter = cgutils.get_or_insert_function(build.module, ir.FunctionType(I64, []), "llvm.readcyclecounter")
        return build.call(counter, [])

    return types.intp(), codegen


@kernel
def wait_for(address, count):
    """Return once the int64 at `address` is at least `count`."""
    spins = 0
    while fetch(address) < count:
        spins += 1
        if spins > SPINS:
            yield_core()


@kernel
def next_item(counter):
    """The next number from 0 that no thread has had yet."""
    return fetch_add(counter, 1)
