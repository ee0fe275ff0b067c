"""The outcome of measuring one image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..layers import Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of measuring one image.

    Attributes
    ----------
    index : int
        The image's place in the list, from 0.
    guesses : sequence of (int, float)
        Classes and their probabilities, most probable first; of several views the mean.
    shown : sequence of float
        Probabilities of the first classes, as many as the command prints.
    error : str
        Why the image could not be measured; else empty.
    """

    index: int
    guesses: Sequence[tuple[int, float]] = ()
    shown: Sequence[float] = ()
    error: str = ""

    def to_line(self) -> str:
        """The outcome as a line of JSON."""
        if self.error:
            return json.dumps({"image": self.index, "error": self.error}, allow_nan=False) + "\n"
        fields: dict[str, object] = {"image": self.index, "guesses": self.guesses}
        return (
            json.dumps(fields | ({"shown": self.shown} if self.shown else {}), separators=(",", ":"), allow_nan=False)
            + "\n"
        )

    @classmethod
    def from_line(cls, line: bytes) -> Outcome:
        """The inverse of `to_line`; ValueError for anything else."""
        try:
            fields = json.loads(line)
            guesses = [(place, value) for place, value in fields.pop("guesses", ())]
            shown = list(fields.pop("shown", ()))
            outcome = cls(fields.pop("image"), guesses, shown, fields.pop("error", ""))
        except (AttributeError, KeyError, TypeError, RecursionError) as reason:
            raise ValueError(str(reason)) from None
        if not {type(outcome.index), *(type(place) for place, _ in guesses)} <= {int}:  # True is not one
            raise ValueError("integers are expected")
        if not {*map(type, shown), *(type(value) for _, value in guesses)} <= {float}:
            raise ValueError("probabilities are expected")
        if fields or not isinstance(outcome.error, str) or bool(outcome.error) == bool(guesses or shown):
            raise ValueError("guesses or an error, and nothing else, are expected")
        return outcome


@dataclass(frozen=True, slots=True)
class OutcomeForm:
    """What the outcomes of a run look like, and how a journal keeps them: a `runs.journal.Form`.

    Attributes
    ----------
    count : int
        Images in the list.
    classes : int
    guesses, shown : int
        How many of each an outcome has; none where the image could not be measured.
    """

    count: int
    classes: int
    guesses: int
    shown: int
    unit: ClassVar[str] = "image"

    def place(self, outcome: Outcome) -> int:
        """The place in the list of the outcome's image."""
        return outcome.index

    def to_line(self, outcome: Outcome) -> bytes:
        """The outcome as a line of a journal."""
        return outcome.to_line().encode()

    def from_line(self, line: bytes) -> Outcome:
        """The inverse of `to_line`; ValueError where the outcome cannot be of such a run."""
        outcome = Outcome.from_line(line)
        numbers = (0, 0) if outcome.error else (self.guesses, self.shown)
        if not (
            0 <= outcome.index < self.count
            and (len(outcome.guesses), len(outcome.shown)) == numbers
            and all(0 <= place < self.classes for place, _ in outcome.guesses)
        ):
            raise ValueError("an outcome of another run")
        return outcome


def summarize(index: int, probabilities: Array, keep: int, shown: int) -> Outcome:
    """The outcome of an image whose classes have `probabilities` (outputs,).

    Of equally probable classes the lower index comes first. The guesses' probabilities are the shortest decimals that
    identify their float32 values.
    """
    best = np.argsort(-probabilities, kind="stable")[:keep]
    guesses = [(int(place), _shorten(probabilities[place])) for place in best]
    return Outcome(index, guesses, probabilities[:shown].tolist())


def _shorten(value: np.float32) -> float:
    return float(str(value))
