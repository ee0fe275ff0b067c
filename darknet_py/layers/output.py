"""Which layer's output is the network's."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Layer


def find_output(layers: Sequence[Layer]) -> Layer:
    """The layer whose output is that of a network with `layers`: the last that answers."""
    return next((layer for layer in reversed(layers) if layer.answers), layers[-1])
