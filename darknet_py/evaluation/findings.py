"""What a run's outcomes say beyond the two totals: for each class, of confusions, and of how sure the network was."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ..datasets.samples import Sample
from .outcome import Outcome
from .totals import interval

if TYPE_CHECKING:
    import numpy.typing as npt

Integers: TypeAlias = "npt.NDArray[np.int64]"
Booleans: TypeAlias = "npt.NDArray[np.bool_]"

POINTS = 400
PAIRS = 30
BINS = 15
MISTAKES = 48
EXCLUSIONS = 1000


class Point(NamedTuple):
    """Shares of right answers after `after` images, or iterations; `low` to `high` is the interval of `accuracy`."""

    after: int
    accuracy: float
    accuracy_top: float
    low: float
    high: float


class ClassRow(NamedTuple):
    """Class `number`; it was most often mistaken for class `taken_for`, -1 for none, in `taken` of its `images`."""

    number: int
    images: int
    right: int
    right_top: int
    taken_for: int
    taken: int


class Pair(NamedTuple):
    """`taken` of the `images` of class `truth` were taken for class `guess`."""

    truth: int
    guess: int
    taken: int
    images: int


class Bin(NamedTuple):
    """Images whose first guess has a probability from `lower` to `upper`, on average `confidence`."""

    lower: float
    upper: float
    images: int
    right: int
    confidence: float


class Exclusion(NamedTuple):
    """An image that does not count, and why."""

    file: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """What a run's outcomes say.

    Attributes
    ----------
    points : list of Point
        The figures as they settled, over the images that count, in list order.
    classes : list of ClassRow
        Least accurate first; classes without an image are left out.
    pairs : list of Pair
        Most images first, at most `PAIRS` of `pairs_found`.
    bins : list of Bin
        `BINS` of equal width.
    calibration_error : float
        The expected calibration error (ECE): how far confidence and accuracy are apart, as a mean over images.
    mistakes : list of (Sample, Outcome)
        Wrong first guesses, most probable first, at most `MISTAKES`.
    exclusions : list of Exclusion
        At most `EXCLUSIONS` of `excluded`.
    unlabelled : int
        Images that count although no class is known for them: every guess is wrong.
    """

    points: list[Point]
    classes: list[ClassRow]
    pairs: list[Pair]
    pairs_found: int
    bins: list[Bin]
    calibration_error: float
    mistakes: list[tuple[Sample, Outcome]]
    exclusions: list[Exclusion]
    excluded: int
    unlabelled: int


def study(samples: Sequence[Sample], outcomes: Iterable[Outcome], classes: int, top: int) -> Findings:
    """The findings of a run, made in one pass over `outcomes`, which are in list order.

    Parameters
    ----------
    samples : sequence of Sample
        The whole list; `outcomes` may lack some of it.
    outcomes : iterable of Outcome
    classes : int
        How many there are.
    top : int
        How many guesses count for the second figure.
    """
    tally = Tally(samples, classes, top)
    for outcome in outcomes:
        tally.add(outcome)
    return tally.study()


@dataclass
class Tally:
    """What is kept of the outcomes so far: a few bytes of each that counts. Its first fields are those of `study`."""

    samples: Sequence[Sample]
    classes: int
    top: int
    truths: array[int] = field(default_factory=lambda: array("i"))
    guesses: array[int] = field(default_factory=lambda: array("i"))
    probabilities: array[float] = field(default_factory=lambda: array("d"))
    right_top: bytearray = field(default_factory=bytearray)
    worst: list[tuple[float, int, Outcome]] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    excluded: int = 0

    def add(self, outcome: Outcome) -> None:
        """Add the next outcome, in list order."""
        sample = self.samples[outcome.index]
        if outcome.error or sample.doubt:
            self.excluded += 1
            if len(self.exclusions) < EXCLUSIONS:
                kind = "unreadable" if outcome.error else "class unknown"
                self.exclusions.append(Exclusion(sample.file, kind, outcome.error or sample.doubt))
            return
        guess, probability = outcome.guesses[0]
        self.truths.append(sample.truth)
        self.guesses.append(guess)
        self.probabilities.append(probability)
        self.right_top.append(any(index == sample.truth for index, _ in outcome.guesses[: self.top]))
        if guess != sample.truth:
            entry = (probability, -outcome.index, outcome)
            if len(self.worst) < MISTAKES:
                heappush(self.worst, entry)
            else:
                heappushpop(self.worst, entry)

    def study(self) -> Findings:
        """What there is to say of the outcomes so far."""
        truths, guesses = np.array(self.truths, np.int64), np.array(self.guesses, np.int64)
        right, right_top = truths == guesses, np.array(self.right_top, bool)
        known = truths >= 0
        images = np.bincount(truths[known], minlength=self.classes)
        pairs = _rank_pairs(truths[known & ~right], guesses[known & ~right], images)
        bins = _fill_bins(np.array(self.probabilities, float), right)
        return Findings(
            points=_trace(right, right_top),
            classes=_rank_classes(truths, right, right_top, images, pairs),
            pairs=[Pair(*map(int, pair)) for pair in pairs[:PAIRS]],
            pairs_found=len(pairs),
            bins=bins,
            calibration_error=sum(abs(bin.right - bin.images * bin.confidence) for bin in bins) / max(len(right), 1),
            mistakes=[(self.samples[outcome.index], outcome) for _, _, outcome in sorted(self.worst, reverse=True)],
            exclusions=self.exclusions,
            excluded=self.excluded,
            unlabelled=int((~known).sum()),
        )


def _trace(right: Booleans, right_top: Booleans) -> list[Point]:
    """At most `POINTS` points, evenly spaced, the last image's among them."""
    counted = len(right)
    if not counted:
        return []
    number = min(counted, POINTS)
    places = np.linspace(counted / number, counted, number).round().astype(int).tolist()
    sums, sums_top = np.cumsum(right).tolist(), np.cumsum(right_top).tolist()
    return [Point(n, sums[n - 1] / n, sums_top[n - 1] / n, *interval(sums[n - 1], n)) for n in places]


def _rank_pairs(truths: Integers, guesses: Integers, images: Integers) -> Integers:
    """Rows of `Pair`: most images first; of equal ones, the greater share of the class, then the lower classes."""
    codes, counts = np.unique(truths * len(images) + guesses, return_counts=True)
    truth, guess = np.divmod(codes, len(images))
    pairs = np.stack([truth, guess, counts, images[truth]], axis=1)
    return pairs[np.lexsort((codes, images[truth], -counts))]


def _rank_classes(
    truths: Integers, right: Booleans, right_top: Booleans, images: Integers, pairs: Integers
) -> list[ClassRow]:
    """The classes that have images, the least accurate first."""
    hits = np.bincount(truths[right], minlength=len(images))
    # No guess is right where the class is not known, so all of these are known.
    hits_top = np.bincount(truths[right_top], minlength=len(images))
    # The first pair of a class is its most frequent.
    mistaken, first = np.unique(pairs[:, 0], return_index=True)
    taken = dict(zip(mistaken.tolist(), pairs[first, 1:3].tolist(), strict=True))
    rows = [
        ClassRow(number, int(images[number]), int(hits[number]), int(hits_top[number]), *taken.get(number, (-1, 0)))
        for number in np.flatnonzero(images).tolist()
    ]
    return sorted(rows, key=lambda row: (row.right / row.images, row.right_top / row.images))


def _fill_bins(probabilities: npt.NDArray[np.float64], right: Booleans) -> list[Bin]:
    """Count the images of each bin: a probability between two belongs to the upper one, outside 0..1 to the nearest."""
    places = (np.clip(probabilities, 0, 1) * BINS).astype(int).clip(max=BINS - 1)
    images = np.bincount(places, minlength=BINS)
    hits = np.bincount(places[right], minlength=BINS)
    confidence = np.bincount(places, probabilities, minlength=BINS) / np.maximum(images, 1)
    return [
        Bin(place / BINS, (place + 1) / BINS, int(images[place]), int(hits[place]), float(confidence[place]))
        for place in range(BINS)
    ]
