"""Stretches of a walk: how many threads walk each of them, and the barriers in it.

Where the system takes the core from a thread, for another program or for lack of cores, all others wait for it at the
next barrier: on two cores beside a busy program, two threads took 13 ms for a network that one computed in 5. Where a
thread waits longer than it works, half as many threads do better: the stretch ends, and the next one has that many.
After a while more are tried again.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import table as t
from ..arena import LINE
from . import kernel
from .sync import clock, exchange, fetch, fetch_add, int64s, wait_for

# Nanoseconds that threads may lose by waiting for each other before fewer go on: a system's time slices are longer.
BEARABLE = 2_000_000
# Nanoseconds for which fewer work, at first and at most: twice as long where more proved too many within `TRIAL`.
PAUSE, LONGEST_PAUSE = 4_000_000, 256_000_000
TRIAL = 50_000_000


class Barrier(NamedTuple):
    """Where a thread is in a stretch.

    Attributes
    ----------
    posted, threads : int
        The stretch as it was posted, and its threads.
    until : int
        When more threads are to be tried; 0 for never.
    arrivals : int
        The number of arrivals, since the team began, after the barrier before.
    since, lost : int
        When the thread last began to work undisturbed, and nanoseconds that it has lost by waiting.
    late, over : bool
        Whether some thread has lost too much; whether the stretch ends here.
    """

    posted: int
    threads: int
    until: int
    arrivals: int
    since: int
    lost: int
    late: bool
    over: bool


@kernel
def choose_threads(mailbox, most):
    """How many threads, of `most`, are to walk the next stretch."""
    post = int64s(mailbox + LINE)
    if post[t.WORKING] == 0:
        return most
    now = clock()
    if now >= post[t.UNTIL]:
        post[t.RAISED], post[t.UNTIL] = now, now + post[t.PAUSE]
        post[t.WORKING] *= 2
    if post[t.WORKING] >= most:
        post[t.WORKING] = 0
        return most
    return post[t.WORKING]


@kernel
def note_loss(mailbox, threads):
    """Let fewer than these threads walk the next stretch where they lost too much in the last."""
    post = int64s(mailbox + LINE)
    if threads == 1 or fetch(mailbox + t.LATE * 8) != post[t.POSTED]:
        return
    now = clock()
    early = now - post[t.RAISED] < TRIAL
    post[t.PAUSE] = min(2 * post[t.PAUSE], LONGEST_PAUSE) if early else PAUSE
    post[t.UNTIL] = now + post[t.PAUSE]
    post[t.WORKING] = (threads + 1) // 2


@kernel
def begin_stretch(mailbox, threads):
    """Where a thread is before the first barrier."""
    post = int64s(mailbox + LINE)
    if threads == 1:
        return Barrier(0, 1, post[t.UNTIL] if post[t.WORKING] != 0 else 0, 0, 0, 0, False, False)
    return Barrier(post[t.POSTED], threads, 0, post[t.BASE], clock(), 0, False, False)


@kernel
def pass_barrier(barrier, mailbox, row, rows, thread):
    """Wait until all threads have done all rows before `row`, of `rows`; where none is left, only thread 0 waits."""
    posted, threads, until, arrivals, since, lost, late, _ = barrier
    if threads == 1:
        return Barrier(posted, threads, until, arrivals, since, lost, late, until != 0 and clock() >= until)
    arrivals += threads
    # All see this: nobody passes without thread 0.
    if thread == 0 and late:
        exchange(mailbox + t.END * 8, arrivals)
    fetch_add(mailbox + t.ARRIVED * 8, 1)
    if row == rows and thread != 0:
        return Barrier(posted, threads, until, arrivals, since, lost, late, True)
    waiting = wait_for(mailbox + t.ARRIVED * 8, arrivals)
    if waiting != 0:
        now = clock()
        lost = max(0, lost + (now - waiting) - (waiting - since))
        since = now
        if lost > BEARABLE:
            exchange(mailbox + t.LATE * 8, posted)
    late = fetch(mailbox + t.LATE * 8) == posted
    # A thread that passes late may find the end of a later stretch, but then that has been posted before.
    over = fetch(mailbox + t.END * 8) == arrivals or fetch(mailbox + LINE + t.POSTED * 8) != posted
    return Barrier(posted, threads, until, arrivals, since, lost, late, over)
