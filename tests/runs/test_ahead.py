"""Work that threads do before its results are asked for."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from darknet_py.runs.ahead import work_ahead


def working():
    return [thread for thread in threading.enumerate() if thread.name.startswith("work")]


def test_what_comes_of_items_comes_in_their_order():
    last = threading.Event()

    def work(items):
        if items[0] == 0:
            last.wait(60)  # the first is done last
        elif items[0] == 3:
            last.set()
        return [10 * item for item in items]

    assert list(work_ahead(work, range(8), 3, 2)) == [[0, 10, 20], [30, 40, 50], [60, 70]]
    assert not working()
    assert list(work_ahead(work, [], 3, 2)) == []


def test_no_more_items_are_taken_than_threads_have_work_for():
    taken = []
    items = (taken.append(item) or item for item in range(100))
    with closing(work_ahead(list, items, 5, 2)) as results:
        next(results)
        assert len(taken) == 20
        next(results)
        assert len(taken) == 25
    assert not working()


def test_an_error_comes_in_its_place_and_ends_the_threads():
    def work(items):
        if 2 in items:
            raise ValueError("two")
        return items

    results = work_ahead(work, range(100), 1, 3)
    assert [next(results), next(results)] == [[0], [1]]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert not working()
