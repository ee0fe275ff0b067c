"""Products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..forks import PRODUCTS

if TYPE_CHECKING:
    from .base import Array


def multiply(a: Array, b: Array) -> Array:
    """``a @ b``, for which a fork by another thread waits."""
    with PRODUCTS.hold():
        return a @ b
