"""Images through a network, by several threads at once, each from the file to the guesses.

A thread reads, decodes, fits and classifies a few images by itself, with a part of the cores for its own, so that all
cores work all the time and wait for nothing. On two cores that makes 278 images of tiny a second, against 215 where
each network has both cores and is held up by whoever decodes there.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..classifier import Classifier
from ..errors import CfgError, ImageError, UsageError, WeightsError
from ..image import load_image
from ..layers import Array
from .outcome import Outcome, summarize


@dataclass(frozen=True, slots=True)
class Pending:
    """An image that is to be measured.

    Attributes
    ----------
    index : int
        Its place in the list.
    file : str
        Its name there, for messages.
    path : str
        Where it lies.
    """

    index: int
    file: str
    path: str


class Evaluator:
    """A network that measures images for any number of threads.

    Parameters
    ----------
    network : Classifier
    preprocess : str
        One of `image.MODES`; outputs of several views are added up, as darknet does, and their mean told.
    keep : int
        How many guesses an outcome holds.
    shown : int
        Of how many of the first classes it holds the probabilities.
    threads : int
        That each calling thread gets for its own.
    """

    def __init__(self, network: Classifier, preprocess: str, keep: int, shown: int, threads: int = 1) -> None:
        self.network, self.preprocess = network, preprocess
        self.keep, self.shown, self.threads = keep, shown, threads
        self._own = threading.local()

    def evaluate(self, images: Sequence[Pending]) -> list[Outcome]:
        """The outcomes of a few images, in their order, whatever thread calls."""
        network = self._forked()
        outcomes: dict[int, Outcome] = {}
        views: dict[int, list[Array]] = {}
        for image in images:
            try:
                views[image.index] = self._views(network, image)
            except (ImageError, CfgError, UsageError) as reason:
                outcomes[image.index] = Outcome(image.index, error=_explain(reason, image))
            except MemoryError:
                outcomes[image.index] = Outcome(image.index, error="not enough memory to fit it to the network")
        files = {image.index: image for image in images}
        for index, probabilities in self._probabilities(network, views).items():
            if isinstance(probabilities, Exception):
                outcomes[index] = Outcome(index, error=_explain(probabilities, files[index]))
            else:
                outcomes[index] = summarize(index, probabilities, self.keep, self.shown)
        return [outcomes[image.index] for image in images]

    def _forked(self) -> Classifier:
        if not hasattr(self._own, "network"):
            self._own.network = self.network.fork(self.threads)
        network: Classifier = self._own.network
        return network

    def _views(self, network: Classifier, image: Pending) -> list[Array]:
        picture = load_image(image.path)
        mode = self.preprocess
        if mode == "shorter":  # but for strips that would become too long
            mode = network.mode_for(picture, None, image.file)
        return network.prepare(picture, mode)

    def _probabilities(
        self, network: Classifier, views: dict[int, list[Array]]
    ) -> dict[int, Array | CfgError | WeightsError]:
        """For each image the mean of its views' outputs, or why there is none."""
        batches: dict[tuple[int, ...], list[tuple[int, Array]]] = defaultdict(list)
        for index, of_image in views.items():
            for view in of_image:
                batches[view.shape].append((index, view))
        sums: dict[int, Array | CfgError | WeightsError] = {}
        for batch in batches.values():
            for (index, _), outputs in zip(batch, self._run(network, [view for _, view in batch]), strict=True):
                before = sums.get(index)
                if isinstance(outputs, Exception) or before is None:
                    sums[index] = outputs
                elif not isinstance(before, Exception):
                    sums[index] = before + outputs
        return {
            index: total if isinstance(total, Exception) else total / np.float32(len(views[index]))
            for index, total in sums.items()
        }

    def _run(self, network: Classifier, views: Sequence[Array]) -> Sequence[Array | CfgError | WeightsError]:
        """The outputs for inputs of one shape; where that fails, for each alone."""
        try:
            return list(network.predict(np.stack(views)))
        except (CfgError, WeightsError, MemoryError) as reason:
            if len(views) > 1:
                return [outputs for view in views for outputs in self._run(network, [view])]
            if isinstance(reason, MemoryError):
                return [CfgError("not enough memory to run the network on it")]
            return [reason]


def _explain(reason: Exception, image: Pending) -> str:
    """What is wrong with an image, without its name."""
    return str(reason).removeprefix(f"{image.path}: ")


def evaluate_here(
    evaluator: Evaluator, images: Iterator[Pending], batch: int, workers: int
) -> Generator[list[Outcome], None, None]:
    """Outcomes of `images` in their order, `batch` at a time, by `workers` threads."""
    window: deque[Future[list[Outcome]]] = deque()
    pool = ThreadPoolExecutor(workers, "evaluate")
    try:
        while chunk := list(islice(images, batch)):
            window.append(pool.submit(evaluator.evaluate, chunk))
            if len(window) == 2 * workers:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
