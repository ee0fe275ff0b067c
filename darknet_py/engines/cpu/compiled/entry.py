"""What Python calls: giving a team's threads work, and doing it, and `interpolate`; `jit` compiles these."""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from .resize import interpolate as interpolate
from .sync import current_core, exchange, fetch, fetch_add, int64s, yield_core
from .walk import walk

# Turns of looking for work, each with an offer of the core to others, before a thread sleeps.
PATIENCE = 2000


def post(mailbox, call, threads):
    """Give all threads but 0 a call; return how many sleep and must be woken."""
    fields = int64s(call, t.CALL_FIELDS)
    counters = int64s(fields[t.SYNC], (fields[t.ROWS] + 1) * (LINE // 8))
    counters[:] = 0
    exchange(mailbox + t.CALL * 8, call)
    int64s(mailbox, t.CORE + 1)[t.CORE] = current_core()
    fetch_add(mailbox + t.POSTED * 8, 1)
    sleepers = 0
    for thread in range(1, threads):
        line = mailbox + thread * LINE
        asleep = exchange(line + t.ASLEEP * 8, 0)
        int64s(line, t.TO_WAKE + 1)[t.TO_WAKE] = asleep
        sleepers += asleep
    return sleepers


def serve(mailbox, done, scratch, thread, threads):
    """Walk what is posted, until nothing comes for a while; return how many calls are `done` then.

    Thread 0, who posts, walks one. Of others, who takes the mark of sleep away decides: the thread itself, which
    then goes on, or `post`, which wakes it.
    """
    line = mailbox + thread * LINE
    turns = 0
    while True:
        if thread == 0 or fetch(mailbox + t.POSTED * 8) != done:
            done += 1
            walk(fetch(mailbox + t.CALL * 8), scratch, thread, threads)
            turns = 0
            if thread == 0:
                return done
        elif turns < PATIENCE:
            turns += 1
            yield_core()
        else:
            exchange(line + t.ASLEEP * 8, 1)
            if fetch_add(mailbox + t.POSTED * 8, 0) == done or exchange(line + t.ASLEEP * 8, 0) == 0:
                return done
            turns = 0
