"""What a layer has of its own, as weights files hold it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Role = Literal["weight", "bias", "scale", "statistic"]


class Parameter(NamedTuple):
    """What a layer learns, or is told by its training.

    Attributes
    ----------
    shape : tuple of int
    role : str
        ``weight``: what inputs are multiplied by; ``bias``: what is added; ``scale``: what normalized sums are
        multiplied by; ``statistic``: measured in training, not learned.
    positive : bool
        Whether no value is below 0.
    optional : bool
        Whether it is missing in files of darknet's own, unlike those of its fork; it is 0 there.
    flipped : bool
        Whether its first axis is the last one in the file.
    fan_in : int, optional
        Of weights, how many inputs an output sums up; where absent, as many as the axes after the first have places.
        0: they only share outputs out, and begin alike.
    """

    shape: tuple[int, ...]
    role: Role
    positive: bool = False
    optional: bool = False
    flipped: bool = False
    fan_in: int | None = None

    @property
    def size(self) -> int:
        """How many values that is."""
        return math.prod(self.shape)
