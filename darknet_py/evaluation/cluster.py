"""Measuring on a dask.distributed cluster: tasks of some images go out, outcomes come back as they are done."""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path
from queue import Empty, SimpleQueue

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, rpc

from ..errors import ClusterError, DarknetWarning
from ..files import digest_bytes, read_bytes
from ..limits import core_count
from ..version import __version__
from .evaluator import Pending
from .job import Job
from .outcome import Outcome
from .worker import Refusal, Upload, make_check

LOCAL = "local:"  # followed by the number of workers to start
LEAST, MOST = 64, 256  # images of a task
PARTS = 8  # into which the task of a worker that died is divided
KILLS = 3  # workers that die with an image before it is set aside
PATIENCE = 0.2  # seconds to wait for an outcome before the caller gets a turn
GREETING = 5  # seconds in which a cluster must answer
NOISY = ("asyncio", "bokeh", "distributed", "tornado")  # libraries whose loggers report on a cluster


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """A client of the cluster at `address`, or of one started here for ``local:N``, which ends with the client.

    Raises
    ------
    ClusterError
        Where no cluster answers.
    """
    quiet = {"distributed.logging.distributed": "critical", "distributed.scheduler.allowed-failures": 0}
    with ExitStack() as stack:
        stack.enter_context(_silenced())
        stack.enter_context(dask.config.set(quiet))
        where: str | LocalCluster = address
        if address.startswith(LOCAL):
            with _without_interrupts():
                where = stack.enter_context(_start(int(address.removeprefix(LOCAL))))
        else:
            asyncio.run(_greet(address))
        try:
            client = stack.enter_context(Client(where, timeout=GREETING, set_as_default=False))
        except OSError as reason:
            raise ClusterError(f"the cluster does not answer: {reason}", file=address) from None
        yield client


@contextmanager
def _silenced() -> Iterator[None]:
    """Let the libraries of a cluster log nothing: they would report each worker that dies, which is handled here."""
    names = [name for name in {*NOISY, *logging.root.manager.loggerDict} if name.partition(".")[0] in NOISY]
    before = [(logger, logger.level) for logger in map(logging.getLogger, names)]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


async def _greet(address: str) -> None:
    """Raise ClusterError unless a scheduler answers; a client would try for a long time, and complain when it ends."""
    scheduler = rpc(address)
    try:
        await asyncio.wait_for(scheduler.identity(), GREETING)
    except (OSError, ValueError, asyncio.TimeoutError):
        raise ClusterError(f"no scheduler of a cluster answers there within {GREETING} seconds", file=address) from None
    finally:
        await scheduler.close_rpc()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from threads and processes that start now, and from those that they start: it is not for them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # would undo the blocking, if it were started meanwhile
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=max(1, core_count() // workers),
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    )


@dataclass(frozen=True)
class Task:
    """Images for a worker.

    Attributes
    ----------
    images : sequence of Pending
    kills : int
        Workers that died while they had the task, or one that these images were a part of.
    uploaded : bool
        Whether all workers had the network's files when it was submitted.
    """

    images: Sequence[Pending]
    kills: int = 0
    uploaded: bool = False


class Coordinator:
    """Runs a job on a cluster.

    Parameters
    ----------
    client : Client
    job : Job
    files : mapping of str to Path
        The network's files on this machine, by their SHA-256.
    batch : int
        Images that run through the network at a time.
    """

    def __init__(self, client: Client, job: Job, files: Mapping[str, Path], batch: int) -> None:
        self.client, self.job, self.batch = client, job, batch
        self.files = {digest: path.absolute() for digest, path in files.items()}
        self.address = client.scheduler.address
        self._running: dict[Future, Task] = {}
        self._suspects: deque[Task] = deque()
        self._done: SimpleQueue[Future] = SimpleQueue()
        self._uploaded = self._waited = False

    def evaluate(self, images: Sequence[Pending]) -> Generator[list[Outcome], None, None]:
        """Yield outcomes as they come, now and then an empty list."""
        try:
            yield from self._evaluate(images)
        except OSError as reason:
            raise self._lose(reason) from None
        finally:
            with suppress(OSError):
                self.client.cancel(list(self._running))

    def _evaluate(self, images: Sequence[Pending]) -> Iterator[list[Outcome]]:
        size = min(max(len(images) // (4 * max(1, sum(self._threads()))), LEAST), MOST)
        fresh = deque(Task(images[start : start + size]) for start in range(0, len(images), size))
        while fresh or self._suspects or self._running:
            self._submit_from(fresh)
            try:
                future = self._done.get(timeout=PATIENCE)
            except Empty:
                yield []
            else:
                yield self._take(future, self._running.pop(future))

    def _threads(self) -> list[int]:
        """How many threads each worker has."""
        return list(self.client.nthreads().values())

    def _submit_from(self, fresh: deque[Task]) -> None:
        """Submit as many tasks as the workers can take."""
        threads = self._threads()
        if not threads and not self._waited:
            self._waited = True
            warnings.warn(DarknetWarning(f"{self.address}: no workers; waiting for some"), stacklevel=2)
        # One task more for each worker than it has threads, so that it need not wait for the next.
        while fresh and len(self._running) < sum(threads) + len(threads):
            self._submit(fresh.popleft())
        # One suspect at a time: a task whose worker dies with a suspect becomes one, too.
        if threads and self._suspects and not any(task.kills for task in self._running.values()):
            self._submit(self._suspects.popleft())

    def _submit(self, task: Task) -> None:
        task = replace(task, uploaded=self._uploaded)
        paths = {digest: str(path) for digest, path in self.files.items()}
        job = self.job, paths, task.images, self.batch
        future = self.client.submit(make_check(), __version__, pickle.dumps(job), pure=False)
        self._running[future] = task
        future.add_done_callback(self._done.put)

    def _take(self, future: Future, task: Task) -> list[Outcome]:
        """A task's outcomes; none where it must be done again."""
        if future.status != "finished":
            if future.status != "error":
                raise self._lose(f"a task was {future.status}")
            error = future.exception()
            if isinstance(error, KilledWorker):
                return self._divide(task, task.kills + error.allowed_failures + 1)
            raise ClusterError(f"a task has failed: {error}", file=self.address)
        answer: list[Outcome] | Refusal | str = future.result()
        if isinstance(answer, list):
            return answer
        if isinstance(answer, str) or not answer.missing or task.uploaded:
            raise ClusterError(str(answer))
        self._upload()
        self._submit(task)
        return []

    def _lose(self, reason: object) -> ClusterError:
        """The error for a cluster that no longer answers."""
        return ClusterError(f"the cluster does not answer any more ({reason}); --resume goes on", file=self.address)

    def _divide(self, task: Task, kills: int) -> list[Outcome]:
        """Do a task again in parts, to find the image that kills workers; in the end, set that image aside."""
        if len(task.images) == 1 and kills >= KILLS:
            (image,) = task.images
            return [Outcome(image.index, error=f"set aside: {kills} workers died while they worked on it")]
        size = -(-len(task.images) // PARTS)
        starts = range(0, len(task.images), size)
        self._suspects.extend(Task(task.images[start : start + size], kills) for start in starts)
        return []

    def _upload(self) -> None:
        """Send the network's files to all workers, once."""
        if not self._uploaded:
            contents = {digest: read_bytes(path, ClusterError) for digest, path in self.files.items()}
            for digest, content in contents.items():
                if digest_bytes(content) != digest:
                    raise ClusterError("changed since the run began; begin it anew", file=self.files[digest])
            self.client.register_plugin(Upload(contents))
            self._uploaded = True
