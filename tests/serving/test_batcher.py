"""Items that come together run together, and nothing is lost or mixed up."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError  # Python's own from 3.11 on

import pytest

from darknet_py.serving.batcher import Batcher, Pace

LONG = 60  # seconds: a test that waits for them has failed


def same(item):
    return item


@pytest.fixture(params=[False, True], ids=["at once", "in turns"])
def held(request):
    """A batcher that doubles numbers, four at a time, once it is released; its batches, and what releases it."""
    batches, go = [], threading.Event()

    def double(items):
        go.wait()
        batches.append(list(items))
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]

    batcher = Batcher(same, double, double, Pace(4, 0.01, LONG, 1, request.param, 0))
    yield batcher, batches, go
    go.set()


def test_what_waits_runs_together_and_in_its_order(held):
    batcher, batches, go = held
    futures = [batcher.submit(number) for number in range(8)]
    go.set()
    batcher.close()
    assert [future.result() for future in futures] == [(number, 2 * number) for number in range(8)]
    assert [number for batch in batches for number in batch] == list(range(8))
    assert len(batches[-1]) == 4


def test_one_alone_is_answered():
    batcher = Batcher(same, same, same, Pace(16, 0.0, LONG, 1, True, 0))
    assert batcher.submit("x").result(LONG) == ("x", "x")
    batcher.close()


def test_what_is_wrong_with_one_is_no_fault_of_the_others(held):
    batcher, _, go = held
    futures = [batcher.submit(number) for number in (12, 13, 14)]
    go.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert [future.exception() is not None for future in futures] == [False, True, False]
    assert (futures[0].result()[1], futures[2].result()[1]) == (24, 28)


def test_what_cannot_be_made_ready_holds_nothing_up():
    def prepare(number):
        if number % 2:
            raise ValueError(str(number))
        return number

    batcher = Batcher(prepare, same, same, Pace(4, 0.0, LONG, 2, True, 0))
    futures = [batcher.submit(number) for number in range(9)]
    told = [future.exception(LONG) for future in futures]
    batcher.close()
    assert [str(error) if error else "" for error in told] == ["", "1", "", "3", "", "5", "", "7", ""]


def test_what_nobody_waits_for_any_more_is_not_computed(held):
    batcher, batches, go = held
    futures = [batcher.submit(number) for number in range(8)]
    assert futures[6].cancel()
    go.set()
    batcher.close()
    assert 6 not in [number for batch in batches for number in batch]
    assert futures[7].result() == (7, 14)


@pytest.mark.parametrize(("in_turns", "apart"), [(False, 0), (True, 0), (True, 1), (True, 100)])
def test_closing_answers_all_and_many_threads_get_their_own(in_turns, apart):
    def run(items):
        return [item + 1 for item in items]

    batcher = Batcher(same, run, run, Pace(16, 0.001, 0.01, 3, in_turns, apart))
    with ThreadPoolExecutor(32) as pool:
        futures = list(pool.map(batcher.submit, range(2000)))
    batcher.close()
    assert [future.result(0) for future in futures] == [(number, number + 1) for number in range(2000)]


def slow(gather):
    """A batcher that prepares items of 3 when they are released; its batches, and what releases them."""
    batches, go = [], threading.Event()

    def prepare(number):
        if number == 3:
            go.wait()
        return number

    def run(items):
        batches.append(list(items))
        return items

    return Batcher(prepare, run, run, Pace(4, 0.0, gather, 2, True, 0)), batches, go


def test_a_batch_waits_for_what_is_being_made_ready():
    batcher, batches, go = slow(LONG)
    futures = [batcher.submit(number) for number in range(4)]
    with pytest.raises(FutureTimeoutError):
        futures[0].result(0.1)
    go.set()
    assert [future.result(LONG)[0] for future in futures] == [0, 1, 2, 3]
    batcher.close()
    assert [sorted(batch) for batch in batches] == [[0, 1, 2, 3]]


def test_what_takes_long_to_be_made_ready_does_not_hold_up_the_others():
    batcher, _, go = slow(0.01)
    futures = [batcher.submit(number) for number in (3, 0, 1)]
    assert [future.result(LONG)[0] for future in futures[1:]] == [0, 1]
    assert not futures[0].done()
    go.set()
    batcher.close()
    assert futures[0].result(0) == (3, 3)


@pytest.mark.parametrize(("in_turns", "ahead"), [(False, 8), (True, 0)])
def test_while_a_batch_runs_two_are_made_ready_or_none(in_turns, ahead):
    prepared, running, go = [], threading.Event(), threading.Event()

    def prepare(number):
        prepared.append(number)
        return number

    def run(items):
        running.set()
        go.wait()
        return items

    batcher = Batcher(prepare, run, run, Pace(4, 0.0, LONG, 2, in_turns, 0))
    futures = [batcher.submit(number) for number in range(20)]
    assert running.wait(LONG)
    for _ in range(1000):
        if len(prepared) >= 4 + ahead:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.1)  # in which more would be prepared, if any were
    assert len(prepared) == 4 + ahead
    go.set()
    batcher.close()
    assert [future.result(0)[0] for future in futures] == list(range(20))


@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("others", ["fail", "are cancelled"])
def test_closing_ends_threads_that_had_to_wait_for_the_last_one(in_turns, others):
    """More threads than may prepare something: one waits while another takes the last item, which gives nothing."""
    waiting, go = threading.Semaphore(0), threading.Event()

    def prepare(number):
        waiting.release()
        go.wait()
        raise ValueError(str(number))

    batcher = Batcher(prepare, same, same, Pace(1, 0.0, LONG, 6, in_turns, 0))
    futures = [batcher.submit(number) for number in range(12)]
    ahead = 1 if in_turns else 2
    for _ in range(ahead):
        assert waiting.acquire(timeout=LONG)
    if others == "are cancelled":
        assert all(future.cancel() for future in futures[ahead:])
    closing = threading.Thread(target=batcher.close, daemon=True)
    closing.start()
    while batcher._open:
        threading.Event().wait(0.001)
    threading.Event().wait(0.1)  # in which the threads that close() woke wait again
    go.set()
    closing.join(LONG)
    assert not closing.is_alive()
    assert all(future.done() for future in futures)


def held_up(go):
    """Batches, and the function that runs them, once it is released."""
    batches = []

    def run(items):
        batches.append(items)
        go.wait(LONG)
        return items

    return batches, run


def test_of_many_each_thread_answers_some_by_itself():
    """While two run together, 8 more are sent; the threads that share them wait for each other in their batches."""
    go, both = threading.Event(), threading.Barrier(2)
    (together, run), apart = held_up(go), []

    def run_apart(items):
        if len(items) > 1:
            both.wait(LONG)
            apart.append(items)
        if 5 in items:
            raise ValueError("5")
        return items

    batcher = Batcher(same, run, run_apart, Pace(4, 0.05, LONG, 2, True, 4))
    futures = [batcher.submit(number) for number in range(2)]
    while not together:
        threading.Event().wait(0.001)
    futures += [batcher.submit(number) for number in range(2, 10)]
    go.set()
    told = [future.exception(LONG) for future in futures]
    batcher.close()
    assert [number for number, error in enumerate(told) if error] == [5]
    assert [future.result(0)[1] for number, future in enumerate(futures) if number != 5] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert together == [[0, 1]]
    assert [len(items) for items in apart] == [4, 4]
    assert sorted(apart[0] + apart[1]) == list(range(2, 10))


def test_threads_that_have_gone_apart_come_together_where_few_items_wait():
    go, done = threading.Event(), {number: threading.Event() for number in range(1, 4)}
    (together, run), apart = held_up(go), []

    def run_apart(items):
        apart.append(items)
        assert done[items[0]].wait(LONG)
        return items

    batcher = Batcher(same, run, run_apart, Pace(4, 0.0, LONG, 3, True, 1))
    futures = [batcher.submit(0)]
    while not together:
        threading.Event().wait(0.001)
    futures += [batcher.submit(number) for number in range(1, 4)]
    go.set()
    while len(apart) < 3:
        threading.Event().wait(0.001)
    for number in (1, 2):
        done[number].set()
        assert futures[number].result(LONG) == (number, number)
    while batcher._apart > 1:
        threading.Event().wait(0.001)
    futures.append(batcher.submit(4))
    assert futures[4].result(LONG) == (4, 4)
    done[3].set()
    batcher.close()
    assert sorted(apart) == [[1], [2], [3]]
    assert together == [[0], [4]]


@pytest.mark.parametrize("threads", [2, 4])
def test_what_takes_long_to_be_made_ready_holds_up_no_more_than_its_own_thread(threads):
    running, go, held = threading.Event(), threading.Event(), threading.Event()

    def prepare(number):
        if number == 1:
            held.wait(LONG)
        return number

    def run(items):
        running.set()
        go.wait(LONG)
        return items

    batcher = Batcher(prepare, run, same, Pace(16, 0.0, 0.01, threads, True, 4))
    first = batcher.submit(0)
    assert running.wait(LONG)
    futures = [batcher.submit(number) for number in range(1, 21)]
    go.set()
    assert first.result(LONG) == (0, 0)
    assert [future.result(LONG)[0] for future in futures[1:]] == list(range(2, 21))
    assert batcher.submit(21).result(LONG) == (21, 21)  # few that come later, too
    assert not futures[0].done()
    held.set()
    batcher.close()
    assert futures[0].result(0) == (1, 1)


class Upload:
    """What a weak reference may point to."""


@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("end", ["answered", "failed in making it ready", "failed in running", "cancelled"])
def test_threads_without_work_keep_nothing_of_what_they_did(end, apart):
    prepared, go = threading.Event(), threading.Event()

    def prepare(upload):
        prepared.set()
        go.wait()
        if end == "failed in making it ready":
            raise ValueError("upload")
        return upload

    def run(uploads):
        if end == "failed in running":
            raise ValueError("uploads")
        return uploads

    batcher = Batcher(prepare, run, run, Pace(4, 0.0, LONG, 1 + apart, True, apart))
    upload = Upload()
    kept = weakref.ref(upload)
    future = batcher.submit(upload)
    del upload
    assert prepared.wait(LONG)
    if end == "cancelled":
        assert future.cancel()
    go.set()
    if end != "cancelled":
        future.exception(LONG)
    del future
    for _ in range(1000):
        gc.collect()
        if kept() is None:
            break
        threading.Event().wait(0.01)  # until the threads wait
    assert kept() is None
    batcher.close()
