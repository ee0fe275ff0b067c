"""What every engine is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..layers import Array, Layer

Interpolate = Callable[..., Array]


class Plan(Protocol):
    """A network, ready to run at one size of picture."""

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs), float32, for `batch` (n, channels, height, width), float32 and contiguous."""


class Engine(Protocol):
    """A network's parameters, made ready once for all sizes of picture."""

    name: str

    @property
    def defined(self) -> Mapping[int, str]:
        """For layers that run by their definitions, in NumPy, why."""

    @property
    def interpolate(self) -> Interpolate | None:
        """A faster `image.interpolate`, where there is one."""

    def plan(self, layers: Sequence[Layer]) -> Plan:
        """A plan for the network's layers, shaped for some size of picture."""

    def fork(self, threads: int) -> Engine:
        """An engine on the same parameters with `threads` threads of its own, whose plans run beside this one's."""
