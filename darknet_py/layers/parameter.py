"""The parameters of layers, as weights files hold them."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Role = Literal["weight", "bias", "scale", "statistic"]


class Parameter(NamedTuple):
    """What a layer learns, or what is measured in training.

    Attributes
    ----------
    shape : tuple of int
    role : str
        ``weight``: what inputs are multiplied by; ``bias``: what is added; ``scale``: what normalized sums are
        multiplied by; ``statistic``: measured in training, not learned.
    positive : bool
        Whether no value is below 0.
    optional : bool
        Whether it is missing in darknet's own files, unlike those of its fork; it then counts as 0.
    flipped : bool
        Whether its first axis is the last one in the file.
    fan_in : int, optional
        For weights, how many inputs an output sums up; where absent, the product of the axes after the first. 0: they
        only say how much each input counts, and start out equal.
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
