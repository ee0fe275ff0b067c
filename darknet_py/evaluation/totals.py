"""Counting right answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from ..datasets.samples import Sample
from ..runs.progress import Progress
from .job import Job
from .outcome import Outcome

CONFIDENCE = 0.95


@dataclass
class Totals:
    """Right answers so far.

    Attributes
    ----------
    top : int
        How many guesses count for the second figure.
    counted : int
        Images that were measured and whose class is known.
    right, right_top : int
        Of those, how many have a right first guess, and a right one among the first `top`.
    unreadable, doubtful : int
        Images that do not count: those that could not be measured, and those whose class is not known.
    """

    top: int
    counted: int = 0
    right: int = 0
    right_top: int = 0
    unreadable: int = 0
    doubtful: int = 0

    def add(self, sample: Sample, outcome: Outcome) -> None:
        """Count one image."""
        if outcome.error:
            self.unreadable += 1
        elif sample.doubt:
            self.doubtful += 1
        else:
            self.counted += 1
            self.right += bool(outcome.guesses[0][0] == sample.truth)  # bool: a truth may be a NumPy integer
            self.right_top += any(index == sample.truth for index, _ in outcome.guesses[: self.top])

    @property
    def images(self) -> int:
        """All images so far."""
        return self.counted + self.unreadable + self.doubtful

    @property
    def accuracy(self) -> float:
        """Share of images whose first guess is right; 0 where none counts."""
        return self.right / max(self.counted, 1)

    @property
    def accuracy_top(self) -> float:
        """Share of images one of whose first `top` guesses is right; 0 where none counts."""
        return self.right_top / max(self.counted, 1)

    def figures(self) -> dict[str, tuple[int, float, tuple[float, float]]]:
        """The number of right answers, their share, and its interval, by ``top-1`` and, where k > 1, ``top-k``."""
        found = {"top-1": (self.right, self.accuracy)}
        if self.top > 1:
            found[f"top-{self.top}"] = self.right_top, self.accuracy_top
        return {name: (right, share, interval(right, self.counted)) for name, (right, share) in found.items()}


def interval(right: int, counted: int) -> tuple[float, float]:
    """Wilson's interval, at `CONFIDENCE`, for the share of which `right` / `counted` is an estimate.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not counted:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, spread = right / counted, z * z / counted
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / counted + spread / (4 * counted)) / (1 + spread)
    # At the ends these are the exact bounds; computed ones would be rounded.
    return max(centre - half, 0.0) if right else 0.0, min(centre + half, 1.0) if right < counted else 1.0


@dataclass(frozen=True)
class Summary:
    """What a run has found.

    Attributes
    ----------
    job : Job
        How images were measured.
    cfg, weights, data : str
        What was measured, as the user named it.
    totals : Totals
        Of the images done so far, all runs of a journal together.
    progress : Progress
    """

    job: Job
    cfg: str
    weights: str
    data: str
    totals: Totals
    progress: Progress

    @property
    def pace(self) -> str:
        """Time and speed, in words."""
        progress = self.progress
        speed = f"{progress.speed:.1f} images/s" if progress.fresh else "no image measured in this run"
        return f"{progress.seconds:.1f} s, {speed}"

    def fields(self) -> dict[str, object]:
        """The summary as fields of JSON, for programs."""
        totals, progress = self.totals, self.progress
        return {
            "command": self.job.command,
            "preprocess": self.job.preprocess,
            "engine": self.job.engine,
            "precision": self.job.precision,
            "dialect": self.job.dialect,
            "cfg": self.cfg,
            "weights": self.weights,
            "data": self.data,
            **{
                name: {
                    "right": right,
                    "accuracy": share if totals.counted else None,
                    "interval": list(bounds) if totals.counted else None,
                }
                for name, (right, share, bounds) in totals.figures().items()
            },
            "images": progress.total,
            "counted": totals.counted,
            "excluded": {"unreadable": totals.unreadable, "class unknown": totals.doubtful},
            "complete": progress.complete,
            "seconds": round(progress.seconds, 3),
            "images_per_second": round(progress.speed, 2) if progress.fresh else None,
        }
