"""Threads in compiled code: atomic counters and waiting for them."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import table as t
from ..arena import LINE
from ..isa import FAMILIES
from . import kernel
from .vector import I32, I64, pointer

SPINS = 20_000  # turns of waiting before the core is offered to others
MOST_CORES = 1024  # the most cores of a machine whose threads are kept apart
I8 = ir.IntType(8)
_HAS_YIELD = os.name == "posix"
_KNOWS_CORE = sys.platform == "linux"
_CLOCK = getattr(time, "CLOCK_MONOTONIC", None)
# Elsewhere LLVM before version 20 uses a counter that programs must not read: they are killed.
_HAS_COUNTER = FAMILIES.get(platform.machine().lower()) == "x86"


def _external(build: Any, name: str, result: Any, *arguments: Any) -> Any:
    """A call of a function of the C library or of Python."""
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    return build.call(cgutils.get_or_insert_function(build.module, signature, name), arguments)


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
            _external(build, "sched_yield", I32)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def take_lock(context: Any, lock: Any) -> Any:
    """Wait until Python's lock at this address is free, and take it; this does not need the interpreter."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        _external(build, "PyThread_acquire_lock", I32, pointer(build, args[0], I8), I32(1))
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def release_lock(context: Any, lock: Any) -> Any:
    """Release Python's lock at this address."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        _external(build, "PyThread_release_lock", ir.VoidType(), pointer(build, args[0], I8))
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def current_core(context: Any) -> Any:
    """The number of the core that this runs on; -1 where the system does not say."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        if not _KNOWS_CORE:
            return I64(-1)
        return build.sext(_external(build, "sched_getcpu", I32), I64)

    return types.intp(), codegen


def _affinity(name: str) -> Any:
    """The function of the C library that gets or sets the cores which a thread, 0 for this one, may run on."""

    @intrinsic
    def call(context: Any, thread: Any, cores: Any) -> Any:
        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            if not _KNOWS_CORE:
                return I64(-1)
            thread, cores = build.trunc(args[0], I32), pointer(build, args[1], I8)
            return build.sext(_external(build, name, I32, thread, I64(MOST_CORES // 8), cores), I64)

        return types.intp(types.intp, types.intp), codegen

    return call


_get_cores, _set_cores = _affinity("sched_getaffinity"), _affinity("sched_setaffinity")


@intrinsic
def int64s(context: Any, address: Any) -> Any:
    """The int64 from `address` on, by index: a pointer, which is less to compile than an array."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return pointer(build, args[0], I64)

    return types.CPointer(types.int64)(types.intp), codegen


@kernel
def keep_apart(thread, memory):
    """Let the system's thread of this number, unless 0, run only on cores other than the caller's, where possible.

    Linux, in a virtual machine, often puts a thread on the core of the one that starts or wakes it, for 4 ms: on two
    cores a network of 3.8 ms then took 6.1, and a start of 140 ms up to 20 more. `memory` has `MOST_CORES` bits.
    """
    core = current_core()
    if thread == 0 or core < 0 or core >= MOST_CORES:
        return
    cores = int64s(memory)
    for word in range(MOST_CORES // 64):
        cores[word] = 0
    if _get_cores(0, memory) < 0:
        return
    cores[core // 64] &= ~(1 << (core % 64))
    others = 0
    for word in range(MOST_CORES // 64):
        others |= cores[word]
    if others != 0:
        _set_cores(thread, memory)


@intrinsic
def cycles(context: Any) -> Any:
    """The processor's cycle counter, which runs at a constant rate of its own, or else the `clock`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return read_cycles(build)

    return types.intp(), codegen


def read_cycles(build: Any) -> Any:
    """Emit the code of `cycles`."""
    if not _HAS_COUNTER:
        return read_clock(build)
    counter = cgutils.get_or_insert_function(build.module, ir.FunctionType(I64, []), "llvm.readcyclecounter")
    return build.call(counter, [])


@intrinsic
def clock(context: Any) -> Any:
    """Nanoseconds since some fixed time; 0 where the system has no such clock."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return read_clock(build)

    return types.intp(), codegen


def read_clock(build: Any) -> Any:
    """Emit the code of `clock`."""
    if _CLOCK is None:
        return I64(0)
    told = cgutils.alloca_once(build, ir.ArrayType(I64, 2))
    _external(build, "clock_gettime", I32, I32(_CLOCK), told)
    seconds, rest = (build.load(cgutils.gep_inbounds(build, told, 0, place)) for place in (0, 1))
    return build.add(build.mul(seconds, I64(10**9)), rest)


@kernel
def wait_for(address, count):
    """Wait until the int64 at `address` is at least `count`; return since when the core was offered to others, or 0."""
    spins = 0
    since = 0
    while fetch(address) < count:
        spins += 1
        if spins > SPINS:
            if since == 0:
                since = clock()
            yield_core()
    return since


class Share(NamedTuple):
    """A thread's part of an operation, of `threads`; the threads' counters of items taken are `LINES` lines apart."""

    counters: int
    thread: int
    threads: int


class Queue(NamedTuple):
    """A share of `items` items, of which at most `size` are a thread's own."""

    share: Share
    items: int
    size: int


@kernel
def share_out(share, items):
    """The queue of items 0 to `items` - 1: each thread's own come together, in the threads' order.

    Where items are in the order of a picture's rows, a thread thus finds in its own core's caches what it wrote in the
    operation before: two cores that share a last-level cache took 0.93 of the time for tiny that items from one counter
    took.
    """
    return Queue(share, items, (items + share.threads - 1) // share.threads)


@kernel
def next_item(queue):
    """An item that no thread has taken yet, of this thread's own first, then of others'; -1 where none is left."""
    share = queue.share
    owner = share.thread
    for _ in range(share.threads):
        first = owner * queue.size
        item = first + fetch_add(share.counters + owner * t.LINES * LINE, 1)
        if item < min(first + queue.size, queue.items):
            return item
        owner += 1
        if owner == share.threads:
            owner = 0
    return -1
