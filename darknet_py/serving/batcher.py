"""Items that come together are prepared by some threads and run together on one, or, where there are many, on each."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Sent = TypeVar("Sent")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Run: TypeAlias = Callable[[Sequence[Item]], Sequence[Answer]]
Promise: TypeAlias = Future[tuple[Item, Answer]]
Ready: TypeAlias = tuple[Item, Promise[Item, Answer]]  # an item, and the future of its answer


@dataclass(frozen=True)
class Pace:
    """How batches are made.

    Attributes
    ----------
    most : int
        Items that run together.
    wait : float
        Seconds for which the first item waits for others to be sent.
    gather : float
        Seconds for which it waits for those that were sent, and are not prepared yet.
    threads : int
        How many prepare items.
    in_turns : bool
        Whether no item's preparation begins while a batch runs: where the batch has a thread on every core, all of its
        threads wait for one whose core is taken by another.
    apart : int
        Where this many items per thread wait, the threads go apart: each prepares up to this many items and runs them
        by itself. While some are apart, another goes apart as soon as an item waits for each thread that is not.
        0: never.
    """

    most: int
    wait: float
    gather: float
    threads: int
    in_turns: bool
    apart: int


class Batcher(Generic[Sent, Item, Answer]):
    """Threads that prepare what is sent, and one that answers it, several items at a time.

    Parameters
    ----------
    prepare : function
        Makes an item of something sent.
    run : function
        Returns an answer for each of several items.
    run_apart : function
        The same, for threads that have gone apart.
    pace : Pace
    """

    def __init__(
        self, prepare: Callable[[Sent], Item], run: Run[Item, Answer], run_apart: Run[Item, Answer], pace: Pace
    ) -> None:
        self._prepare, self._run, self._run_apart, self._pace = prepare, run, run_apart, pace
        self._ahead = pace.most if pace.in_turns else 2 * pace.most  # most items prepared, or being prepared
        self._sent: deque[tuple[Sent, Promise[Item, Answer]]] = deque()
        self._ready: deque[Ready[Item, Answer]] = deque()
        self._preparing, self._apart = 0, 0  # threads that prepare an item; threads that are apart
        self._running, self._open = False, True
        lock = threading.Lock()
        self._to_prepare, self._to_run = threading.Condition(lock), threading.Condition(lock)
        works = [self._answer_all] + pace.threads * [self._prepare_all]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def submit(self, sent: Sent) -> Promise[Item, Answer]:
        """A future of the item and its answer; if cancelled in time, it is not computed. Not allowed after `close`."""
        future: Promise[Item, Answer] = Future()
        with self._to_prepare:
            self._sent.append((sent, future))
            self._to_prepare.notify()
        return future

    def close(self) -> None:
        """Answer all that was submitted, and end the threads."""
        with self._to_prepare:
            self._open = False
            self._to_prepare.notify_all()
            self._to_run.notify_all()
        for thread in self._threads:
            thread.join()

    def _prepare_all(self) -> None:
        while self._prepare_next():
            pass

    def _prepare_next(self) -> bool:
        """Wait for an item and prepare it, or go apart and answer some; False at the end.

        One call for each, so that a thread that waits for the next holds no reference to the last, which may be large.
        """
        entry, apart = self._next_sent()
        if entry is None:
            return False
        ready = self._make_ready(*entry)
        if apart:
            self._answer_apart(ready)
            return True
        with self._to_run:
            self._preparing -= 1
            self._ready += ready
            # The thread that runs them need not wake up for each.
            if len(self._ready) in (1, self._pace.most) or not self._is_coming():
                self._to_run.notify()
        return True

    def _answer_apart(self, ready: list[Ready[Item, Answer]]) -> None:
        """Answer `ready`, and up to `apart` items in all, which are prepared for as long as the first may wait."""
        end = time.monotonic() + self._pace.gather
        while len(ready) < self._pace.apart and time.monotonic() < end:
            with self._to_prepare:
                if not self._sent:
                    break
                sent = self._sent.popleft()
            ready += self._make_ready(*sent)
        self._answer(ready, self._run_apart)
        with self._to_run:
            self._apart -= 1
            self._to_prepare.notify_all()
            if not self._is_coming():
                self._to_run.notify()

    def _make_ready(self, sent: Sent, future: Promise[Item, Answer]) -> list[Ready[Item, Answer]]:
        """The prepared item and its future, in a list; empty where that was cancelled, or is given an error instead."""
        if future.cancelled():
            return []
        try:
            return [(self._prepare(sent), future)]
        except Exception as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return []

    def _next_sent(self) -> tuple[tuple[Sent, Promise[Item, Answer]] | None, bool]:
        """Wait for something to prepare; return it and whether to go apart with it, or None at the end."""
        with self._to_prepare:
            while True:
                if self._may_go_apart():
                    self._apart += 1
                    self._to_prepare.notify()  # there may be enough for another
                    return self._sent.popleft(), True
                if self._may_prepare():
                    self._preparing += 1
                    return self._sent.popleft(), False
                if not self._open and not self._sent:
                    self._to_prepare.notify_all()  # others may wait, as they might not prepare the last
                    return None, False
                self._to_prepare.wait()

    def _may_go_apart(self) -> bool:
        threads, apart = self._pace.threads, self._pace.apart
        enough = threads - self._apart if self._apart else threads * apart
        together = self._running or self._ready or self._preparing
        return bool(apart) and len(self._sent) >= enough and not together

    def _may_prepare(self) -> bool:
        resting = self._running and self._pace.in_turns
        return bool(self._sent) and not resting and self._preparing + len(self._ready) < self._ahead

    def _is_coming(self) -> bool:
        """Whether items wait to be prepared, or are being prepared."""
        return bool(self._sent or self._preparing)

    def _answer_all(self) -> None:
        while self._answer_next():
            pass

    def _answer_next(self) -> bool:
        """Wait for a batch and answer it; False at the end. As `_prepare_next`, it leaves no reference to it."""
        batch = self._next_batch()
        self._answer(batch, self._run)
        return bool(batch)

    def _next_batch(self) -> list[Ready[Item, Answer]]:
        """Wait for the items to run next; empty at the end."""
        with self._to_run:
            self._running = False
            self._to_prepare.notify_all()
            while not self._ready:
                if not self._open and not self._is_coming():
                    return []
                self._to_run.wait()
            start = time.monotonic()
            while len(self._ready) < self._pace.most and (self._open or self._is_coming()):
                end = start + (self._pace.gather if self._is_coming() else self._pace.wait)
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._to_run.wait(left)
            self._running = True
            batch = [self._ready.popleft() for _ in range(min(len(self._ready), self._pace.most))]
            if self._may_prepare():
                self._to_prepare.notify_all()
            return batch

    def _answer(self, batch: Sequence[Ready[Item, Answer]], run: Run[Item, Answer]) -> None:
        """Answer those items that were not cancelled."""
        self._run_all([entry for entry in batch if entry[1].set_running_or_notify_cancel()], run)

    def _run_all(self, batch: Sequence[Ready[Item, Answer]], run: Run[Item, Answer]) -> None:
        if not batch:
            return
        try:
            answers = run([item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for entry in batch:  # what is wrong with one is no fault of the others
                self._run_all([entry], run)
            return
        for (item, future), answer in zip(batch, answers, strict=True):
            future.set_result((item, answer))
