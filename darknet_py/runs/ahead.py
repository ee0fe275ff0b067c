"""Work that threads do before its results are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_ahead(
    work: Callable[[list[Item]], Result], items: Iterable[Item], batch: int, workers: int
) -> Generator[Result, None, None]:
    """Yield the results of `work`, each of `batch` items, in their order.

    Parameters
    ----------
    work : function
        Called by several threads.
    items : iterable
        Taken as they are needed, by the caller's thread.
    batch : int
    workers : int
        How many threads; when this is closed, or `work` raises, they end after the batches that they work on.
    """
    left = iter(items)
    window: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, "work")
    try:
        while chunk := list(islice(left, batch)):
            window.append(pool.submit(work, chunk))
            if len(window) == 2 * workers:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
