"""Updates of parameters, as training/optimizer.py defines them."""

from __future__ import annotations

from .base import Operation


class UpdateSgd(Operation):
    """Gradients lose `decay` * values, values gain `rate` * gradients, and `momentum` * gradients are left."""

    count: int
    values: int
    gradients: int
    decay: float
    rate: float
    momentum: float
    limit: float  # of values' magnitude


class UpdateAdam(Operation):
    """Values follow the first moment of the gradients, divided by the root of the second; no gradients are left."""

    count: int
    values: int
    gradients: int
    first: int
    second: int
    decay: float
    rate: float
    first_kept: float  # the share of a moment that is kept; the rest is the gradient's
    first_taken: float
    first_whole: float  # what a moment is divided by
    second_kept: float
    second_taken: float
    second_whole: float
    least: float
    limit: float
