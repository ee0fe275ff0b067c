"""The engines, by name; importing this loads none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ..errors import EngineError
from ..layers import Array, Layer, Parameters

ENGINES = ("auto", "cpu", "cuda", "reference")
PRECISIONS = ("float32", "bfloat16")
Interpolate = Callable[..., Array]


class Plan(Protocol):
    """A network, ready to run at one size of picture."""

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs), float32, for `batch` (n, channels, height, width), float32 and contiguous."""


class Engine(Protocol):
    """A network's parameters, made ready once for all sizes of picture."""

    name: str

    @property
    def interpolate(self) -> Interpolate | None:
        """A faster `image.interpolate`, where there is one."""

    def plan(self, layers: Sequence[Layer]) -> Plan:
        """A plan for the network's layers, shaped for some size of picture."""

    def fork(self, threads: int) -> Engine:
        """An engine on the same parameters with `threads` threads of its own, whose plans run beside this one's."""


def core_count() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_engine(
    name: str,
    layers: Sequence[Layer],
    parameters: Iterable[Parameters],
    threads: int | None = None,
    gpu: int | None = None,
    precision: str = "float32",
) -> Engine:
    """The engine `name` with a network's parameters in it.

    Parameters
    ----------
    name : str
        ``reference``, ``cpu``, ``cuda``, or ``auto``: cuda where there is one, else cpu.
    layers : sequence of Layer
        Of the network.
    parameters : iterable of mapping
        For each layer in turn, its arrays by name.
    threads : int, optional
        On the CPU; as many as it has cores where absent.
    gpu : int, optional
        Which GPU; asking for one rules out ``auto``'s CPU.
    precision : str
        ``float32``, or ``bfloat16`` for activations and kernels on the CPU; sums are float32.

    Raises
    ------
    EngineError
        Where the engine cannot be had on this machine or lacks one of the layers.
    """
    if precision not in PRECISIONS:
        reason = f"unknown precision; one of {', '.join(PRECISIONS)} is expected"
        raise EngineError(reason, option=f"precision={precision}")
    if name == "auto":
        name = "cpu" if gpu is None else "cuda"
    if name == "reference":
        from .reference import ReferenceEngine

        if precision != "float32":
            reason = "the reference engine computes in float32 only; take engine=cpu"
            raise EngineError(reason, option=f"precision={precision}")
        return ReferenceEngine(layers, parameters, threads)
    if name == "cpu":
        from .cpu import CpuEngine

        return CpuEngine(layers, parameters, threads, precision)
    if name == "cuda":
        asked = "engine=cuda" if gpu is None else f"gpu {gpu}"
        raise EngineError("no GPU engine in this version; run on the CPU", option=asked)
    raise EngineError(f"unknown engine; one of {', '.join(ENGINES)} is expected", option=f"engine={name}")
