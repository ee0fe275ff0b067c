"""Classifying pictures, one after another or many at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..errors import (
    NO_MEMORY_TO_FIT,
    NO_MEMORY_TO_RUN,
    CfgError,
    DarknetError,
    ImageError,
    UsageError,
    WeightsError,
)
from ..images.decode import load_image
from ..images.fit import Fitted
from ..report import Record

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Picture
    from ..per_thread import Forks
    from ..prediction import Predictions

Named = str | ImageError  # a picture's path, or why there is none
Answers = Generator[tuple[Named, Record | ImageError], None, None]
Look = Callable[[Record, "Picture"], None]
MOST = 1 << 26  # bytes of fitted inputs, above which they run before more are fitted


class Query(NamedTuple):
    """How each picture is classified.

    Attributes
    ----------
    preprocess : str, optional
        As `Classifier.mode_for` takes it.
    top : int
        How many guesses a record has.
    only_leaves : bool
        As `Classifier.probabilities` takes it.
    """

    preprocess: str | None
    top: int
    only_leaves: bool


def classify_each(network: Classifier, paths: Iterable[Named], query: Query, look: Look | None = None) -> Answers:
    """Yield each picture's record, or why there is none; all threads of the network work on one picture.

    When the next one is asked for, `look` is called first, with the record and the picture.
    """
    for path in paths:
        try:
            record, picture = _classify(network, path, query)
        except ImageError as error:
            yield path, error
            continue
        yield path, record
        if look is not None:
            look(record, picture)


def _classify(network: Classifier, path: Named, query: Query) -> tuple[Record, Picture]:
    fitted, picture = fit(network, path, query.preprocess)
    file = name(path)
    start = time.perf_counter()
    try:
        probabilities = network.probabilities(fitted.view[None], query.only_leaves)[0]
    except (CfgError, UsageError, WeightsError) as reason:
        raise ImageError(str(reason), file=file) from None
    except MemoryError:
        raise ImageError(NO_MEMORY_TO_RUN, file=file) from None
    seconds = time.perf_counter() - start
    return _record(file, fitted, seconds, network.rank(probabilities, query.top)), picture


def _record(path: str, fitted: Fitted, seconds: float, predictions: Predictions) -> Record:
    _, height, width = fitted.view.shape
    return Record(path, width, height, fitted.mode, seconds, predictions)


def classify_many(network: Classifier, paths: Iterable[Named], query: Query, threads: int) -> Answers:
    """Yield each picture's record, or why there is none, in order; each thread works on its own, as in ``valid``.

    Where memory is short, there are fewer such workers, each with several threads of the CPU.
    A record's seconds are the time in which its picture ran with others, divided by their number.
    """
    from ..evaluation.crews import BATCH
    from ..per_thread import Forks
    from ..runs.ahead import work_ahead

    workers = network.count_forks(threads)
    work = partial(_classify_some, Forks(network, threads // workers), query)
    with closing(work_ahead(work, paths, BATCH, workers)) as answered:
        for answers in answered:
            yield from answers


def _classify_some(forks: Forks, query: Query, paths: Sequence[Named]) -> list[tuple[Named, Record | ImageError]]:
    network = forks.own
    answers: dict[int, Record | ImageError] = {}
    fitted: dict[int, tuple[str, Fitted]] = {}
    for number, path in enumerate(paths):
        try:
            fitted[number] = name(path), fit(network, path, query.preprocess)[0]
        except ImageError as error:
            answers[number] = error
        if sum(one.view.nbytes for _, one in fitted.values()) > MOST or number == len(paths) - 1:
            answers |= _run(forks, fitted, query)
            fitted.clear()
    return [(path, answers[number]) for number, path in enumerate(paths)]


def name(path: Named) -> str:
    """A picture's path, or the file that its error names."""
    return path if isinstance(path, str) else path.file or ""


def fit(network: Classifier, path: Named, preprocess: str | None) -> tuple[Fitted, Picture]:
    """Load a picture and fit it to `network`; return both. ImageError where that fails."""
    if isinstance(path, ImageError):
        raise path
    picture = load_image(path)
    try:
        mode = network.mode_for(picture, preprocess, path)
        (view,) = network.prepare(picture, mode)
    except (CfgError, UsageError) as reason:
        raise ImageError(str(reason), file=path) from None
    except MemoryError:
        raise ImageError(NO_MEMORY_TO_FIT, file=path) from None
    return Fitted(view, mode), picture


def _run(forks: Forks, fitted: dict[int, tuple[str, Fitted]], query: Query) -> dict[int, Record | ImageError]:
    from ..evaluation.evaluator import run_views

    start = time.perf_counter()
    views = {number: [one.view] for number, (_, one) in fitted.items()}
    outputs = run_views(views, partial(forks.probabilities, only_leaves=query.only_leaves))
    seconds = (time.perf_counter() - start) / max(len(fitted), 1)
    return {
        number: ImageError(str(output), file=fitted[number][0])
        if isinstance(output, DarknetError)
        else _record(*fitted[number], seconds, forks.own.rank(output, query.top))
        for number, (output,) in outputs.items()
    }
