"""Pictures decoded and augmented, while the network works on earlier ones or between its passes.

Threads do this: decoders and the compiled `warp` let others run meanwhile. What is drawn for a picture depends only on
the seed and its position, so the batches are the same for any number of threads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from ..datasets.samples import Sample
from ..errors import DarknetError, ImageError
from ..files import read_bytes
from ..images.augment import Augmentation, Warp, augment, draw, warp
from ..images.decode import decode_image, load_image
from ..images.fit import to_grey
from ..layers import Array
from ..limits import find_cores
from .generators import Purpose, generator
from .mixing import NOTHING_MIXED, Mixing, draw_mixing, make_truths, mix
from .sampler import Indices, Sampler

AHEAD = 2  # batches that are made ahead, where there are cores to spare
FETCHED = 1 << 26  # bytes of files that are read ahead, where there are no cores to spare


@dataclass(frozen=True)
class Feed:
    """What a network is trained on.

    Attributes
    ----------
    samples : sequence of Sample
    classes : int
        How many there are.
    sampler : Sampler
        The order in which samples come.
    seed : int
        Seeds what is drawn for pictures.
    augmentation : Augmentation
        How pictures are changed.
    mixing : Mixing
    smoothing : float
        Of truths, as in `make_truths`.
    locate : function
        Gives the path of a sample's file.
    channels : int
        Of the pictures: 3, or 1 for grey.
    """

    samples: Sequence[Sample]
    classes: int
    sampler: Sampler
    seed: int
    augmentation: Augmentation
    mixing: Mixing = NOTHING_MIXED
    smoothing: float = 0.0
    locate: Callable[[str], str | os.PathLike[str]] = str
    channels: int = 3


@dataclass(frozen=True)
class Batch:
    """The pictures of one pass.

    Attributes
    ----------
    position : int
        How many samples come before them, in the order of the sampler.
    indices : array
        Which samples of the feed they are.
    images : array
        float32 (n, channels, size, size) in 0..1.
    truths : array
        float32 (n, classes).
    """

    position: int
    indices: Indices
    images: Array
    truths: Array


class _File(NamedTuple):
    """A picture's path, and the content of its file."""

    path: str | os.PathLike[str]
    content: bytes


@dataclass
class _Pending:
    """A batch in the making: the threads fill `images`, or enter errors in `failures`, by place in the batch."""

    position: int
    indices: Indices
    images: Array
    places: Iterator[int]  # those that no thread has taken yet
    left: int  # pictures that are not done yet
    failures: dict[int, Exception] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    work: list[Future[Batch | None]] = field(default_factory=list)


class Loader:
    """An endless iterator of batches, made by threads.

    It must be closed, or used in a ``with`` statement; its threads then end after the pictures they are working on.

    Parameters
    ----------
    feed : Feed
    batch : int
        Pictures in a batch.
    position : int
        Of the first picture; the batches are the same as if those before it had been taken.
    threads : int
        How many make batches.
    ahead : int
        How many batches are made before they are asked for, and held in memory. 0 where the consumer needs all cores,
        as a network does, which waits for its slowest thread: then batches are made while they are waited for, and only
        the files of the next batch are read ahead, up to `FETCHED` bytes.
    warp : function
        `images.augment.warp`, or a faster one with the same results.
    """

    def __init__(
        self, feed: Feed, batch: int, position: int, threads: int, ahead: int = AHEAD, warp: Warp = warp
    ) -> None:
        self.feed, self.batch, self.threads, self.ahead, self.warp = feed, batch, threads, ahead, warp
        self._next = position
        self._window: deque[_Pending] = deque()
        self._fetched: dict[int, _File] = {}  # of the next batch, by position
        self._fetching = False
        self._cores = [] if ahead else _spread(threads)
        self._pool = ThreadPoolExecutor(threads, "load", self._settle if self._cores else None)
        self._closed = False

    def _settle(self) -> None:
        """Give a thread that starts a core of its own."""
        with suppress(OSError):
            os.sched_setaffinity(0, self._cores.pop())

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; no more batches come."""
        self._closed = True
        self._window.clear()
        self._pool.shutdown()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises
        ------
        ImageError
            Where one of its pictures cannot be read: that of the first such picture, for any number of threads. The
            loader is then closed.
        """
        if self._closed:
            raise StopIteration
        try:
            self._fetching = False  # threads that make pictures read the remaining files themselves
            # A batch that was taken makes room for another only when the next one is asked for.
            while len(self._window) <= self.ahead:
                self._window.append(self._begin())
            pending = self._window.popleft()
            batches = [batch for work in pending.work if (batch := work.result()) is not None]
            if pending.failures:
                raise pending.failures[min(pending.failures)]
            (batch,) = batches
            if not self.ahead:
                self._fetched, self._fetching = {}, True
                indices = self.feed.sampler.take(self._next, self.batch)
                self._pool.submit(self._fetch, dict(enumerate(indices, self._next)), self._fetched)
            return batch
        except BaseException:
            self.close()
            raise

    def _begin(self) -> _Pending:
        """Let the threads begin the next batch."""
        position, self._next = self._next, self._next + self.batch
        size = self.feed.augmentation.size
        images = np.empty((self.batch, self.feed.channels, size, size), np.float32)
        indices = self.feed.sampler.take(position, self.batch)
        pending = _Pending(position, indices, images, iter(range(self.batch)), self.batch)
        pending.work = [self._pool.submit(self._make, pending) for _ in range(min(self.threads, self.batch))]
        return pending

    def _fetch(self, indices: Mapping[int, int], files: dict[int, _File]) -> None:
        """Read the files of samples into `files`; both by position.

        Compared with asking the system to read them ahead, this costs the passes that run meanwhile 0.03 ms more per
        picture; it saves the loader 0.06 ms, and waiting for disks.
        """
        left = FETCHED
        for position, index in indices.items():
            if self._closed or not self._fetching:
                return
            with suppress(DarknetError, OSError, ValueError):  # whoever decodes it will say what is wrong
                path = self._locate(index)
                content = read_bytes(Path(path), ImageError, most=left)
                left -= len(content)
                files[position] = _File(path, content)

    def _locate(self, index: int) -> str | os.PathLike[str]:
        return self.feed.locate(self.feed.samples[index].file)

    def _make(self, pending: _Pending) -> Batch | None:
        """Make pictures of a batch until all are taken; return the batch where one of them was the last to be done.

        Places are taken in order, and each that is taken is made: so when all threads have ended after a failure, it is
        known whether any picture before that one fails, too.
        """
        last = False
        while not (self._closed or pending.failures):
            place = next(pending.places, None)
            if place is None:
                return self._finish(pending) if last else None
            try:
                self._make_picture(pending.indices[place], pending.position + place, pending.images[place])
            except Exception as failure:
                pending.failures[place] = failure
                return None
            with pending.lock:
                pending.left -= 1
                last = pending.left == 0
        return None

    def _make_picture(self, index: int, position: int, out: Array) -> None:
        file = self._fetched.pop(position, None)
        path = self._locate(index) if file is None else file.path
        picture = load_image(path) if file is None else decode_image(file.content, os.fspath(path))
        options = self.feed.augmentation
        height, width = picture.shape[:2]
        draws = draw(options, width, height, generator(self.feed.seed, Purpose.PICTURE, position))
        try:
            if self.feed.channels == 1:  # all channels are alike
                out[:] = augment(to_grey(picture), draws, options.size, options.size, self.warp)[:1]
            else:
                augment(picture, draws, options.size, options.size, self.warp, out)
        except MemoryError:
            raise ImageError("not enough memory to change it", file=path) from None

    def _finish(self, pending: _Pending) -> Batch:
        feed, size = self.feed, self.feed.augmentation.size
        truths = make_truths([feed.samples[at].truth for at in pending.indices], feed.classes, feed.smoothing)
        random = generator(feed.seed, Purpose.MIXING, pending.position)
        images, truths = mix(pending.images, truths, draw_mixing(feed.mixing, self.batch, size, size, random))
        return Batch(pending.position, pending.indices, images, truths)


def _spread(threads: int) -> list[set[int]]:
    """The processors of each thread's core, where there is a thread for every core that the system reports; else none.

    Linux often wakes threads on the core of the one that wakes them, and moves them milliseconds later: on two cores a
    batch of 16 pictures took 16.2 ms, and 14.5 ms with a core for each thread. A thread that shares its core with
    another program cannot leave it, but takes fewer pictures then: a batch waits at most for the last of these.
    """
    cores = find_cores()
    return cores if len(cores) == threads else []
