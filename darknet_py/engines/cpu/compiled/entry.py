"""What Python calls: running a table with a team's threads, serving in such a team, `interpolate` and `warp`.

From the moment when a call is posted until all threads are done with it no Python runs in the caller's thread, so that
no exception can come between.
"""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from .resize import interpolate as interpolate
from .sync import exchange, fetch, fetch_add, int64s, keep_apart, release_lock, take_lock, yield_core
from .walk import walk
from .warp import warp as warp

# Turns of looking for work, each with an offer of the core to others, before a thread sleeps.
PATIENCE = 2000


def run(mailbox, call, scratch, threads):
    """Walk a call with the `threads` - 1 others of a team; return 0. One of address 0 makes the others leave."""
    exchange(mailbox, 0)
    for thread in range(threads):
        exchange(mailbox + (2 + thread * t.LINES) * LINE, 0)
        exchange(mailbox + (3 + thread * t.LINES) * LINE, 0)
    post = mailbox + LINE
    int64s(post, t.THREADS + 1)[t.THREADS] = threads
    exchange(post + t.CALL * 8, call)
    fetch_add(post + t.POSTED * 8, 1)
    for thread in range(1, threads):
        line = post + thread * t.LINES * LINE
        if exchange(line + t.ASLEEP * 8, 0) != 0:
            fields = int64s(line, t.NUMBER + 1)
            keep_apart(fields[t.NUMBER], scratch)
            release_lock(fields[t.ALARM])
    if call != 0:
        walk(call, mailbox, scratch, 0, threads)
    return 0


def serve(mailbox, scratch, thread):
    """Walk what is posted, until that is nothing; sleep where it does not come for a while; return 0.

    Who takes the mark of sleep away decides: the thread itself, which then goes on, or `run`, which wakes it.
    """
    post = mailbox + LINE
    line = post + thread * t.LINES * LINE
    done = turns = 0
    while True:
        if fetch(post + t.POSTED * 8) != done:
            done += 1
            call, threads = fetch(post + t.CALL * 8), int64s(post, t.THREADS + 1)[t.THREADS]
            if call == 0:
                return 0
            if thread < threads:
                walk(call, mailbox, scratch, thread, threads)
            turns = 0
        elif turns < PATIENCE:
            turns += 1
            yield_core()
        else:
            exchange(line + t.ASLEEP * 8, 1)
            if fetch_add(post + t.POSTED * 8, 0) == done or exchange(line + t.ASLEEP * 8, 0) == 0:
                take_lock(int64s(line, t.NUMBER + 1)[t.ALARM])
            turns = 0
