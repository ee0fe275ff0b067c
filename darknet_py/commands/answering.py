"""Pictures to records, one after another or many at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..errors import CfgError, DarknetError, ImageError, UsageError, WeightsError
from ..images.decode import load_image
from ..report import Record

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..evaluation.evaluator import Forks
    from ..images import Picture
    from ..layers import Array

Named = str | ImageError  # a picture's path, or why there is none
Answers = Generator[tuple[Named, Record | ImageError], None, None]
Look = Callable[[Record, "Picture"], None]
NO_MEMORY = "not enough memory to run the network on it"
MOST = 1 << 26  # bytes of inputs that are fitted before they run


class Asked(NamedTuple):
    """What is asked of each picture.

    Attributes
    ----------
    preprocess : str, optional
        As `Classifier.mode_for` takes it.
    top : int
        Guesses.
    only_leaves : bool
        As `Classifier.probabilities` takes it.
    """

    preprocess: str | None
    top: int
    only_leaves: bool


class Fitted(NamedTuple):
    """A picture as the network gets it.

    Attributes
    ----------
    path : str
    mode : str
        How it was fitted.
    view : array
        (channels, height, width).
    """

    path: str
    mode: str
    view: Array

    def answer(self, network: Classifier, asked: Asked, probabilities: Array, seconds: float) -> Record:
        """The record of a picture whose classes have `probabilities` (outputs,)."""
        _, height, width = self.view.shape
        return Record(self.path, width, height, self.mode, seconds, network.rank(probabilities, asked.top))


def classify_each(network: Classifier, paths: Iterable[Named], asked: Asked, looks: Sequence[Look] = ()) -> Answers:
    """Pictures' records, or why there are none; all threads of the network work on each.

    When the next is wanted, each of `looks` gets the record and the picture; where that fails, an error comes, too.
    """
    for path in paths:
        try:
            record, picture = _classify(network, path, asked)
            yield path, record
            for look in looks:
                look(record, picture)
        except ImageError as error:
            yield path, error


def _classify(network: Classifier, path: Named, asked: Asked) -> tuple[Record, Picture]:
    fitted, picture = _fit(network, path, asked)
    start = time.perf_counter()
    try:
        probabilities = network.probabilities(fitted.view[None], asked.only_leaves)[0]
    except (CfgError, UsageError, WeightsError) as reason:
        raise ImageError(str(reason), file=fitted.path) from None
    except MemoryError:
        raise ImageError(NO_MEMORY, file=fitted.path) from None
    return fitted.answer(network, asked, probabilities, time.perf_counter() - start), picture


def classify_many(network: Classifier, paths: Iterable[Named], asked: Asked, threads: int) -> Answers:
    """Pictures' records, or why there are none, in their order; each thread works on some of its own, as in ``valid``.

    Where memory is short, fewer do, and each has several threads of the CPU.
    The seconds of a record are a picture's part of those in which it ran with others.
    """
    from ..evaluation.crews import BATCH
    from ..evaluation.evaluator import Forks
    from ..runs.ahead import work_ahead

    workers = network.count_forks(threads)
    work = partial(_classify_some, Forks(network, threads // workers), asked)
    with closing(work_ahead(work, paths, BATCH, workers)) as answered:
        for answers in answered:
            yield from answers


def _classify_some(forks: Forks, asked: Asked, paths: Sequence[Named]) -> list[tuple[Named, Record | ImageError]]:
    network = forks.own
    answers: dict[int, Record | ImageError] = {}
    fitted: dict[int, Fitted] = {}
    for number, path in enumerate(paths):
        try:
            fitted[number], _ = _fit(network, path, asked)
        except ImageError as error:
            answers[number] = error
        if sum(one.view.nbytes for one in fitted.values()) > MOST or number == len(paths) - 1:
            answers |= _run(forks, fitted, asked)
            fitted.clear()
    return [(path, answers[number]) for number, path in enumerate(paths)]


def _fit(network: Classifier, path: Named, asked: Asked) -> tuple[Fitted, Picture]:
    if isinstance(path, ImageError):
        raise path
    picture = load_image(path)
    try:
        mode = network.mode_for(picture, asked.preprocess, path)
        (view,) = network.prepare(picture, mode)
    except (CfgError, UsageError) as reason:
        raise ImageError(str(reason), file=path) from None
    except MemoryError:
        raise ImageError(NO_MEMORY, file=path) from None
    return Fitted(path, mode, view), picture


def _run(forks: Forks, fitted: dict[int, Fitted], asked: Asked) -> dict[int, Record | ImageError]:
    from ..evaluation.evaluator import run_views

    start = time.perf_counter()
    views = {number: [one.view] for number, one in fitted.items()}
    outputs = run_views(views, partial(forks.probabilities, only_leaves=asked.only_leaves))
    seconds = (time.perf_counter() - start) / max(len(fitted), 1)
    return {
        number: ImageError(str(output), file=fitted[number].path)
        if isinstance(output, DarknetError)
        else fitted[number].answer(forks.own, asked, output, seconds)
        for number, (output,) in outputs.items()
    }
