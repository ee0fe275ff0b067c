"""What came of one image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one image.

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
            return json.dumps({"image": self.index, "error": self.error}) + "\n"
        fields: dict[str, Any] = {"image": self.index, "guesses": self.guesses}
        return json.dumps(fields | ({"shown": self.shown} if self.shown else {}), separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> Outcome:
        """What `to_line` wrote; ValueError where it is something else."""
        fields = json.loads(line)
        try:
            guesses = [(int(index), float(probability)) for index, probability in fields.get("guesses", ())]
            outcome = cls(int(fields["image"]), guesses, fields.get("shown", []), fields.get("error", ""))
        except (AttributeError, KeyError, TypeError, OverflowError) as reason:
            raise ValueError(str(reason)) from None
        if not (outcome.guesses or outcome.error):
            raise ValueError("neither guesses nor an error")
        return outcome


def summarize(index: int, probabilities: Array, keep: int, shown: int) -> Outcome:
    """The outcome of an image whose classes have `probabilities` (outputs,).

    Of equally probable ones the lower index comes first. Guesses are told as shortly as float32 allows.
    """
    best = np.argsort(-probabilities, kind="stable")[:keep]
    guesses = [(int(place), _shorten(probabilities[place])) for place in best]
    return Outcome(index, guesses, probabilities[:shown].tolist())


def _shorten(value: np.float32) -> float:
    return float(str(value))
