"""The functions that Python calls: `work`, for a team's caller and its other threads, `interpolate` and `warp`; and
those that are compiled apart from these, `walk` and `train`.

From the moment when a call is posted until all threads are done with it, no Python runs in the caller's thread, so that
no exception can come between.
"""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from . import apart, kernel
from .resize import interpolate as interpolate
from .stretch import choose_threads, note_loss
from .sync import current_core, exchange, fetch, fetch_add, int64s, keep_apart, release_lock, take_lock, yield_core
from .training import train as train
from .walk import walk as walk
from .warp import warp as warp

# Turns of looking for work, each with an offer of the core to others, before a thread sleeps.
PATIENCE = 2000


@kernel
def _post(mailbox, call, row, scratch, threads):
    """Let the others of `threads` threads walk a call from a row on; wake sleepers, and move those on this core."""
    post = mailbox + LINE
    exchange(post + t.CALL * 8, call)
    exchange(post + t.FROM * 8, row)
    exchange(post + t.BASE * 8, fetch(mailbox + t.ARRIVED * 8))
    number = fetch(post + t.POSTED * 8) // t.MOST_THREADS
    exchange(post + t.POSTED * 8, (number + 1) * t.MOST_THREADS + threads)
    for thread in range(1, threads):
        line = post + thread * t.LINES * LINE
        sleeps, fields = exchange(line + t.ASLEEP * 8, 0) != 0, int64s(line)
        if sleeps or fields[t.CORE] == current_core():
            keep_apart(fields[t.NUMBER], scratch)
        if sleeps:
            release_lock(fields[t.ALARM])


@kernel
def _begin(mailbox, call, row, scratch, threads):
    """Begin a stretch of a call from a row on, in a team of `threads` threads; return how many of them walk it."""
    working = choose_threads(mailbox, threads)
    for thread in range(working):
        exchange(mailbox + (2 + thread * t.LINES) * LINE, 0)
        exchange(mailbox + (3 + thread * t.LINES) * LINE, 0)
    if working > 1:
        _post(mailbox, call, row, scratch, working)
    return working


@kernel
def _await(mailbox, thread, done):
    """Wait for what is posted next, after `done`, for this thread; 0 where it is to leave. Sleep where nothing comes.

    Whoever clears the mark of sleep decides: the thread itself, which then goes on, or the caller, which wakes it.
    """
    post = mailbox + LINE
    line = post + thread * t.LINES * LINE
    turns = 0
    while True:
        int64s(line)[t.CORE] = current_core()
        posted = fetch(post + t.POSTED * 8)
        if posted != done:
            done = posted
            if fetch(post + t.CALL * 8) == 0:
                return 0
            if thread < posted % t.MOST_THREADS:  # otherwise the next may be posted already, while this is read
                return posted
        elif turns < PATIENCE:
            turns += 1
            yield_core()
        else:
            exchange(line + t.ASLEEP * 8, 1)
            if fetch_add(post + t.POSTED * 8, 0) == done or exchange(line + t.ASLEEP * 8, 0) == 0:
                take_lock(int64s(line)[t.ALARM])
                turns = 0


def work(mailbox, call, scratch, thread, threads):
    """Be a thread of a team: 0, the caller, has all `threads` walk a call, the others walk what it posts; return 0.

    A call of address 0 makes the others leave.
    """
    if thread == 0 and call == 0:
        _post(mailbox, call, 0, scratch, threads)
        return 0
    row = posted = 0
    working = threads
    while True:
        if thread == 0:
            working = _begin(mailbox, call, row, scratch, threads)
        else:
            posted = _await(mailbox, thread, posted)
            if posted == 0:
                return 0
            call, row = fetch(mailbox + LINE + t.CALL * 8), fetch(mailbox + LINE + t.FROM * 8)
            working = posted % t.MOST_THREADS
        row = apart.walk(call, row, mailbox, scratch, thread, working)
        if thread == 0:
            note_loss(mailbox, working)
            if row == int64s(call)[t.ROWS]:
                return 0
