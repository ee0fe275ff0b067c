"""What comes within a few milliseconds runs together, on one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """A queue, and a thread that answers what is in it.

    Parameters
    ----------
    run : function
        What gives for several items as many answers.
    most : int
        Items that run together.
    wait : float
        Seconds for which the first waits for others.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Answer]], most: int, wait: float) -> None:
        self._run, self._most, self._wait = run, most, wait
        self._queue: Queue[tuple[Item, Future[Answer]] | None] = Queue(2 * most)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> Future[Answer]:
        """The answer to come; a cancelled one is not computed. Waits where the queue is full; not after `close`."""
        future: Future[Answer] = Future()
        self._queue.put((item, future))
        return future

    def close(self) -> None:
        """Answer all that was submitted, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        open_ = True
        while open_ and (first := self._queue.get()) is not None:
            batch, end = [first], time.monotonic() + self._wait
            while open_ and len(batch) < self._most:
                try:
                    entry = self._queue.get(timeout=max(end - time.monotonic(), 0))
                except Empty:
                    break
                if entry is None:
                    open_ = False
                else:
                    batch.append(entry)
            self._answer([entry for entry in batch if entry[1].set_running_or_notify_cancel()])

    def _answer(self, batch: list[tuple[Item, Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = self._run([item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for entry in batch:  # what is wrong with one is no fault of the others
                self._answer([entry])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
