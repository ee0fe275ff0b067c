"""Measuring images with a network, each from its file to its guesses, by any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

import numpy as np

from ..alike import run_alike
from ..classifier import Classifier
from ..errors import NO_MEMORY_TO_FIT, NO_MEMORY_TO_RUN, CfgError, DarknetError, ImageError, UsageError, WeightsError
from ..images.decode import load_image
from ..layers import Array
from ..per_thread import Forks
from .job import Job
from .outcome import Outcome, summarize

Output: TypeAlias = "Array | DarknetError"  # the network's, or why there is none


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
        Of its file.
    """

    index: int
    file: str
    path: str


class Evaluator:
    """A network that measures images for any number of threads.

    Parameters
    ----------
    network : Classifier
    job : Job
        How they are measured. Where its `preprocess` makes several views, their outputs are added up, as in darknet,
        and their mean is used.
    threads : int
        Of the CPU, for each calling thread's own.

    Attributes
    ----------
    preparing, running : float
        Seconds that the calling threads have spent on decoding and fitting, and on running the network.
    """

    def __init__(self, network: Classifier, job: Job, threads: int = 1) -> None:
        self.network, self.job, self.threads = network, job, threads
        self.preparing = self.running = 0.0
        self._lock = threading.Lock()
        self._forks = Forks(network, threads)

    def evaluate(self, images: Sequence[Pending]) -> list[Outcome]:
        """The outcomes of a few images, in their order; any thread may call this."""
        network = self._forks.own
        start = time.perf_counter()
        views: dict[int, list[Array]] = {}
        failures: dict[int, str] = {}
        for image in images:
            try:
                views[image.index] = self._views(network, image)
            except (ImageError, CfgError, UsageError) as reason:
                failures[image.index] = str(reason).removeprefix(f"{image.path}: ")
            except MemoryError:
                failures[image.index] = NO_MEMORY_TO_FIT
        prepared = time.perf_counter()
        outputs = run_views(views, partial(self._forks.probabilities, only_leaves=self.job.only_leaves))
        with self._lock:
            self.preparing += prepared - start
            self.running += time.perf_counter() - prepared
        return [
            Outcome(image.index, error=failures[image.index])
            if image.index in failures
            else self._sum_up(image.index, outputs[image.index])
            for image in images
        ]

    def _views(self, network: Classifier, image: Pending) -> list[Array]:
        picture = load_image(image.path)
        mode = self.job.preprocess
        if mode == "shorter":  # except for strips, which would become too long
            mode = network.usual_mode(picture, image.file)
        return network.prepare(picture, mode)

    def _sum_up(self, index: int, outputs: Sequence[Output]) -> Outcome:
        """The outcome of an image from its views' outputs, added up in their order."""
        total = np.float32(0)
        for output in outputs:
            if isinstance(output, DarknetError):
                return Outcome(index, error=str(output))
            with np.errstate(over="ignore"):  # infinity is reported below
                total = total + output
        if not np.isfinite(total).all():
            return Outcome(index, error="the outputs for its views add up to more than float32 holds")
        return summarize(index, total / np.float32(len(outputs)), self.job.keep, self.job.shown)


def run_views(views: Mapping[int, Sequence[Array]], run: Callable[[Array], Array]) -> dict[int, list[Output]]:
    """Each image's outputs for its views, in order, or why there is none; views of one shape `run` together."""
    outputs = iter(run_alike([view for of_image in views.values() for view in of_image], partial(_run_or_tell, run)))
    return {index: list(islice(outputs, len(of_image))) for index, of_image in views.items()}


def _run_or_tell(run: Callable[[Array], Array], views: Sequence[Array]) -> Sequence[Output]:
    """The outputs for inputs of one shape; where that fails, each runs alone, and an error replaces its output."""
    try:
        return list(run(np.stack(views)))
    except (CfgError, WeightsError, MemoryError) as reason:
        if len(views) > 1:
            return [output for view in views for output in _run_or_tell(run, [view])]
        if isinstance(reason, MemoryError):
            return [CfgError(NO_MEMORY_TO_RUN)]
        return [reason]
