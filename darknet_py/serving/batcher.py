"""What comes together is made ready on some threads, and runs together on one, or, where it is much, on each."""

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
Ready: TypeAlias = tuple[Item, Promise[Item, Answer]]  # and who waits for its answer


@dataclass(frozen=True)
class Pace:
    """How batches come about.

    Attributes
    ----------
    most : int
        Items that run together.
    wait : float
        Seconds for which the first waits for others to be sent.
    gather : float
        Seconds for which it waits for those that were sent, and are not ready.
    threads : int
        That make items ready.
    in_turns : bool
        Whether no item is begun to be made ready while a batch runs: where that has a thread on every core, each waits
        for one whose core another has taken.
    apart : int
        Where so many items wait for each thread, the threads go apart: each makes as many ready and runs them by
        itself, and again, where some wait for every thread that has none. 0: never.
    """

    most: int
    wait: float
    gather: float
    threads: int
    in_turns: bool
    apart: int


class Batcher(Generic[Sent, Item, Answer]):
    """Threads that make ready what is sent, and one that answers it, several at a time.

    Parameters
    ----------
    prepare : function
        What makes an item of something sent.
    run : function
        What gives for several items as many answers.
    run_apart : function
        The same, for threads that have gone apart.
    pace : Pace
    """

    def __init__(
        self, prepare: Callable[[Sent], Item], run: Run[Item, Answer], run_apart: Run[Item, Answer], pace: Pace
    ) -> None:
        self._prepare, self._run, self._run_apart, self._pace = prepare, run, run_apart, pace
        self._ahead = pace.most if pace.in_turns else 2 * pace.most  # items that are ready, or being made so, at most
        self._sent: deque[tuple[Sent, Promise[Item, Answer]]] = deque()
        self._ready: deque[Ready[Item, Answer]] = deque()
        self._preparing, self._apart = 0, 0  # threads that make something ready, and that have gone apart
        self._running, self._open = False, True
        lock = threading.Lock()
        self._to_prepare, self._to_run = threading.Condition(lock), threading.Condition(lock)
        works = [self._answer_all] + pace.threads * [self._prepare_all]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def submit(self, sent: Sent) -> Promise[Item, Answer]:
        """The item and the answer to come; what is cancelled is not computed. Not after `close`."""
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
        """Wait for something and make it ready, or some and answer them; False at the end.

        Called for each, so that a thread that waits for the next has no name for the last, which may be large.
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
            # Its thread has no use for being told of each.
            if len(self._ready) in (1, self._pace.most) or not self._is_coming():
                self._to_run.notify()
        return True

    def _answer_apart(self, ready: list[Ready[Item, Answer]]) -> None:
        """Answer what is ready, and some more, which are made so for as long as the first may wait."""
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
        """The item and who waits for its answer; none where nobody does, or there is no item, which is told."""
        if future.cancelled():
            return []
        try:
            return [(self._prepare(sent), future)]
        except Exception as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return []

    def _next_sent(self) -> tuple[tuple[Sent, Promise[Item, Answer]] | None, bool]:
        """What to make ready now, and whether to go apart with it; nothing at the end."""
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
                    self._to_prepare.notify_all()  # others wait, too, where the last was taken while no more might be
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
        """Whether some are to be made ready, or being made so."""
        return bool(self._sent or self._preparing)

    def _answer_all(self) -> None:
        while self._answer_next():
            pass

    def _answer_next(self) -> bool:
        """Wait for a batch and answer it; False at the end. As `_prepare_next`, it leaves no name for it."""
        batch = self._next_batch()
        self._answer(batch, self._run)
        return bool(batch)

    def _next_batch(self) -> list[Ready[Item, Answer]]:
        """What to run now; nothing at the end."""
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
        """Answer those for which somebody waits."""
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
