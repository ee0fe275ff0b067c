"""What comes together runs together, and nothing is lost or mixed up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from darknet_py.serving.batcher import Batcher


@pytest.fixture
def held():
    """A batcher that doubles numbers, four at a time, once it is let go; its batches, and what lets it go."""
    batches, go = [], threading.Event()

    def double(items):
        go.wait()
        batches.append(list(items))
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]

    batcher = Batcher(double, 4, 0.01)
    yield batcher, batches, go
    go.set()


def test_what_waits_runs_together_and_in_its_order(held):
    batcher, batches, go = held
    futures = [batcher.submit(number) for number in range(8)]
    go.set()
    batcher.close()
    assert [future.result() for future in futures] == [2 * number for number in range(8)]
    assert [number for batch in batches for number in batch] == list(range(8))
    assert len(batches[-1]) == 4


def test_one_alone_is_answered():
    batcher = Batcher(lambda items: items, 16, 0.0)
    assert batcher.submit("x").result() == "x"
    batcher.close()


def test_what_is_wrong_with_one_is_no_fault_of_the_others(held):
    batcher, _, go = held
    futures = [batcher.submit(number) for number in (12, 13, 14)]
    go.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert [future.exception() is not None for future in futures] == [False, True, False]
    assert (futures[0].result(), futures[2].result()) == (24, 28)


def test_what_nobody_waits_for_any_more_is_not_computed(held):
    batcher, batches, go = held
    futures = [batcher.submit(number) for number in range(8)]
    assert futures[6].cancel()
    go.set()
    batcher.close()
    assert 6 not in [number for batch in batches for number in batch]
    assert futures[7].result() == 14


def test_closing_answers_all_and_many_threads_get_their_own():
    batcher = Batcher(lambda items: [item + 1 for item in items], 16, 0.001)
    with ThreadPoolExecutor(32) as pool:
        futures = list(pool.map(batcher.submit, range(2000)))
    batcher.close()
    assert [future.result(0) for future in futures] == list(range(1, 2001))
