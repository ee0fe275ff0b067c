"""Pictures decoded and augmented while the network works on those before.

By threads: decoders and the compiled `warp` let others run meanwhile. What is drawn for a picture depends on the seed
and on its position alone, so the same batches come whatever the threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from ..datasets.samples import Sample
from ..errors import ImageError
from ..images.augment import Augmentation, Warp, augment, draw, warp
from .generators import Purpose, generator
from .mixing import NOTHING_MIXED, Array, Mixing, draw_mixing, make_truths, mix
from .pictures import Pictures
from .sampler import Indices, Sampler

SHARES = 4  # of a batch for each thread: the last one to be done is not waited for long


@dataclass(frozen=True)
class Feed:
    """What a network is trained on.

    Attributes
    ----------
    samples : sequence of Sample
    classes : int
        How many there are.
    sampler : Sampler
        In which order samples come.
    seed : int
        Of what is drawn for pictures.
    augmentation : function
        How the pictures of a batch are changed, by the position of its first one: a network may change its size.
    mixing : Mixing
    smoothing : float
        Of truths, as in `make_truths`.
    locate : function
        Where a sample's file lies.
    keep : int
        Bytes of decoded pictures that are kept in memory.
    """

    samples: Sequence[Sample]
    classes: int
    sampler: Sampler
    seed: int
    augmentation: Callable[[int], Augmentation]
    mixing: Mixing = NOTHING_MIXED
    smoothing: float = 0.0
    locate: Callable[[str], str | os.PathLike[str]] = str
    keep: int = 0


@dataclass(frozen=True)
class Batch:
    """Pictures of one pass.

    Attributes
    ----------
    position : int
        How many samples come before, since the run began.
    indices : array
        Which samples of the feed these are.
    images : array
        float32 (n, 3, size, size) in 0..1.
    truths : array
        float32 (n, classes).
    """

    position: int
    indices: Indices
    images: Array
    truths: Array


@dataclass
class _Pending:
    """A batch in the making: the threads fill `images`."""

    position: int
    indices: Indices
    options: Augmentation
    images: Array
    shares: list[Future[Batch | None]] = field(default_factory=list)
    left: int = 0  # shares that are not done
    lock: threading.Lock = field(default_factory=threading.Lock)


class Loader:
    """An endless iterator of batches, made ahead of who takes them.

    To be closed, or used in a ``with`` statement; then its threads end after the pictures that they are at.

    Parameters
    ----------
    feed : Feed
    batch : int
        Pictures of a batch.
    position : int
        Of the first one; batches that follow are as if those before had been taken.
    threads : int
        That make batches.
    ahead : int
        How many batches are made ahead, and held in memory.
    warp : function
        `images.augment.warp`, or a faster one with the same answers.

    Attributes
    ----------
    waited : float
        Seconds that the caller has waited for batches, all in all.
    """

    def __init__(self, feed: Feed, batch: int, position: int, threads: int, ahead: int = 2, warp: Warp = warp) -> None:
        self.feed, self.batch, self.threads, self.ahead, self.warp = feed, batch, threads, ahead, warp
        self.waited = 0.0
        self._pictures = Pictures(feed.keep)
        self._next = position
        self._window: deque[_Pending] = deque()
        self._pool = ThreadPoolExecutor(threads, "load")
        self._closed = False

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; nothing more comes."""
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
            Where one of its pictures cannot be read. The loader is closed then.
        """
        if self._closed:
            raise StopIteration
        try:
            # One that is taken makes room for another only when it is asked for the next.
            while len(self._window) < self.ahead:
                self._window.append(self._begin())
            pending = self._window.popleft()
            self._window.append(self._begin())
            start = time.perf_counter()
            (batch,) = filter(None, [share.result() for share in pending.shares])
            self.waited += time.perf_counter() - start
            return batch
        except BaseException:
            self.close()
            raise

    def _begin(self) -> _Pending:
        """Have the next batch made."""
        position, self._next = self._next, self._next + self.batch
        options = self.feed.augmentation(position)
        images = np.empty((self.batch, 3, options.size, options.size), np.float32)
        pending = _Pending(position, self.feed.sampler.take(position, self.batch), options, images)
        step = max(1, self.batch // (SHARES * self.threads))
        shares = [range(first, min(first + step, self.batch)) for first in range(0, self.batch, step)]
        pending.left = len(shares)
        pending.shares = [self._pool.submit(self._make, pending, share) for share in shares]
        return pending

    def _make(self, pending: _Pending, places: range) -> Batch | None:
        """Make the pictures at some places of a batch; the batch, where they are the last to be done."""
        for place in places:
            if self._closed:
                return None
            sample = self.feed.samples[pending.indices[place]]
            pending.images[place] = self._picture(sample.file, pending.position + place, pending.options)
        with pending.lock:
            pending.left -= 1
            last = pending.left == 0
        return self._finish(pending) if last else None

    def _picture(self, file: str, position: int, options: Augmentation) -> Array:
        picture = self._pictures.load(self.feed.locate(file))
        height, width = picture.shape[:2]
        draws = draw(options, width, height, generator(self.feed.seed, Purpose.PICTURE, position))
        try:
            return augment(picture, draws, options.size, options.size, self.warp)
        except MemoryError:
            raise ImageError("not enough memory to change it", file=file) from None

    def _finish(self, pending: _Pending) -> Batch:
        feed, size = self.feed, pending.options.size
        truths = make_truths([feed.samples[at].truth for at in pending.indices], feed.classes, feed.smoothing)
        random = generator(feed.seed, Purpose.MIXING, pending.position)
        images, truths = mix(pending.images, truths, draw_mixing(feed.mixing, self.batch, size, size, random))
        return Batch(pending.position, pending.indices, images, truths)
