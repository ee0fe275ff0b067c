"""What Python calls: running a table with a team's threads, serving in such a team, `interpolate` and `warp`.

From the moment when a call is posted until all threads are done with it no Python runs in the caller's thread, so that
no exception can come between.
"""

from __future__ import annotations

from .. import table as t
from ..arena import LINE
from . import kernel
from .resize import interpolate as interpolate
from .stretch import choose_threads, note_loss
from .sync import exchange, fetch, fetch_add, int64s, keep_apart, release_lock, take_lock, yield_core
from .walk import walk
from .warp import warp as warp

# Turns of looking for work, each with an offer of the core to others, before a thread sleeps.
PATIENCE = 2000


@kernel
def _post(mailbox, call, row, scratch, threads):
    """Let the others, of so many threads, walk a call from a row on; wake who sleeps."""
    post = mailbox + LINE
    exchange(post + t.CALL * 8, call)
    exchange(post + t.FROM * 8, row)
    exchange(post + t.BASE * 8, fetch(mailbox + t.ARRIVED * 8))
    number = fetch(post + t.POSTED * 8) // t.MOST_THREADS
    exchange(post + t.POSTED * 8, (number + 1) * t.MOST_THREADS + threads)
    for thread in range(1, threads):
        line = post + thread * t.LINES * LINE
        if exchange(line + t.ASLEEP * 8, 0) != 0:
            fields = int64s(line, t.NUMBER + 1)
            keep_apart(fields[t.NUMBER], scratch)
            release_lock(fields[t.ALARM])


def run(mailbox, call, scratch, threads):
    """Walk a call with the `threads` - 1 others of a team, or fewer; return 0. One of address 0 makes them leave."""
    if call == 0:
        _post(mailbox, call, 0, scratch, threads)
        return 0
    row, rows = 0, int64s(call, t.CALL_FIELDS)[t.ROWS]
    while row < rows:
        working = choose_threads(mailbox, threads)
        for thread in range(working):
            exchange(mailbox + (2 + thread * t.LINES) * LINE, 0)
            exchange(mailbox + (3 + thread * t.LINES) * LINE, 0)
        if working > 1:
            _post(mailbox, call, row, scratch, working)
        row = walk(call, row, mailbox, scratch, 0, working)
        note_loss(mailbox, working)
    return 0


def serve(mailbox, scratch, thread):
    """Walk what is posted, until that is nothing; sleep where it does not come for a while; return 0.

    Who takes the mark of sleep away decides: the thread itself, which then goes on, or `run`, which wakes it.
    """
    post = mailbox + LINE
    line = post + thread * t.LINES * LINE
    done = turns = 0
    while True:
        posted = fetch(post + t.POSTED * 8)
        if posted != done:
            done, threads = posted, posted % t.MOST_THREADS
            call = fetch(post + t.CALL * 8)
            if call == 0:
                return 0
            if thread < threads:  # else the next may be posted already, while this reads
                walk(call, fetch(post + t.FROM * 8), mailbox, scratch, thread, threads)
                turns = 0
        elif turns < PATIENCE:
            turns += 1
            yield_core()
        else:
            exchange(line + t.ASLEEP * 8, 1)
            if fetch_add(post + t.POSTED * 8, 0) == done or exchange(line + t.ASLEEP * 8, 0) == 0:
                take_lock(int64s(line, t.NUMBER + 1)[t.ALARM])
                turns = 0
