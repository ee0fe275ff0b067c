"""The compiled walk through a plan's table, and the threads that take it."""

from __future__ import annotations

import os
import queue
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from . import table as t
from .arena import LINE, address, aligned
from .gemm import multiply
from .jit import kernel
from .moves import flatten, pad, to_blocks, to_pixels
from .packing import pack, pack_winograd
from .pooling import add, pool_average, pool_maximum
from .sync import cycles, fetch_add, wait_for
from .winograd import transform_input, transform_output

SCRATCH = 2 * 8 * 8 * 64  # bytes that a thread needs for itself: Winograd's largest tile, twice


@kernel("void(int64[:, ::1], float32[:, ::1], int64[::1], int64, int64, int64, int64)")
def walk(table, numbers, clock, sync, scratch, thread, threads):
    """Run all operations, together with `threads` - 1 other callers.

    `sync` is the address of a counter for the barrier and one for each operation, `LINE` bytes apart, zero at
    the start. Between operations all wait for all: what one writes, the next reads. At the end only `thread` 0
    waits, and no other looks at `sync` again: it may then be set to zero for the next run. `clock`, unless
    empty, is told when thread 0 starts and has done each operation, in cycles.
    """
    last = table.shape[0] - 1
    timed = thread == 0 and clock.size > last
    if timed:
        clock[0] = cycles()
    for i in range(last + 1):
        op, counter = table[i], sync + (i + 1) * LINE
        slope, final = numbers[i, t.SLOPE], numbers[i, t.FINAL]
        code = op[t.OPCODE]
        if code == t.GEMM:
            multiply(op, slope, final, counter)
        elif code == t.WINOGRAD_INPUT:
            transform_input(op, scratch, counter)
        elif code == t.WINOGRAD_OUTPUT:
            transform_output(op, slope, final, scratch, counter)
        elif code == t.MAXPOOL:
            pool_maximum(op, counter)
        elif code == t.AVGPOOL:
            pool_average(op, counter)
        elif code == t.ADD:
            add(op, numbers[i, t.ALPHA], numbers[i, t.BETA], slope, counter)
        elif code == t.PAD:
            pad(op, counter)
        elif code == t.TO_PIXELS:
            to_pixels(op, counter)
        elif code == t.TO_BLOCKS:
            to_blocks(op, counter)
        elif code == t.FLATTEN:
            flatten(op, counter)
        elif code == t.PACK:
            pack(op, counter)
        elif code == t.PACK_WINOGRAD:
            pack_winograd(op, scratch, counter)
        fetch_add(sync, 1)
        if i < last or thread == 0:
            wait_for(sync, (i + 1) * threads)
        if timed:
            clock[i + 1] = cycles()


class Team:
    """Threads that walk tables together with the caller."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.scratch = aligned(threads * SCRATCH)
        self._pid = 0
        self._tasks: list[queue.SimpleQueue[Any]] = []

    def run(
        self,
        table: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.float32],
        clock: npt.NDArray[np.int64],
        sync: npt.NDArray[np.uint8],
    ) -> None:
        """Walk `table` to its end; by one caller at a time."""
        self._start()
        sync[:] = 0
        for thread, tasks in enumerate(self._tasks, 1):
            scratch = address(self.scratch) + thread * SCRATCH
            tasks.put((table, numbers, clock, address(sync), scratch, thread, self.threads))
        walk(table, numbers, clock, address(sync), address(self.scratch), 0, self.threads)

    def _start(self) -> None:
        if self._pid == os.getpid():  # a forked child has none of its parent's threads
            return
        self._pid = os.getpid()
        self._tasks = [queue.SimpleQueue() for _ in range(self.threads - 1)]
        for tasks in self._tasks:
            threading.Thread(target=_serve, args=(tasks,), daemon=True).start()


def _serve(tasks: queue.SimpleQueue[Any]) -> None:
    while (task := tasks.get()) is not None:
        walk(*task)
