"""Convolutions whose filters have a channel of their own each, without multiplying by the zeros between groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ..convolution import Convolution, Operands
from ..kernels import TYPES, Kernel, Launch
from .arguments import activation_codes, convolution_arguments
from .base import Machine
from .weights import Taps

THREADS = 128  # in a thread block
LANES = 8, 4  # threads for neighbouring channels, whose numbers fill a line of the cache, or half of one
ACROSS = 4, 2, 1  # tiles that lie beside each other in a thread block
UNROLLED = {(3, 1), (3, 2), (5, 1), (5, 2)}  # windows and strides for which all is known when a kernel is compiled
# Pixels of the output that a thread computes, for the windows for which registers suffice; for others a single one.
TILES = {(1, 1): (3, 5), (1, 2): (3, 5), (1, 4): (3, 5), (2, 4): (3,)}
# Instructions, counted in compiled kernels: for each thread; for each load; for each output, besides multiplications.
THREAD_INSTRUCTIONS, LOAD_INSTRUCTIONS, OUTPUT_INSTRUCTIONS = 130, 5, 5
ISSUED = 4  # instructions in a cycle, by a multiprocessor
START_CYCLES = 1500  # until the first numbers have arrived


@dataclass(frozen=True)
class Depthwise:
    """Sums of a window's numbers times weights, channel by channel."""

    name: str = "depthwise"

    def misses(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        return "" if problem.depthwise else "needs groups of one channel and one filter"

    def declines(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        return self.misses(problem, machine)

    def order(self, problem: Convolution) -> Taps:
        """See `Algorithm`."""
        return Taps()

    def implementations(self, problem: Convolution, machine: Machine) -> list[PixelTile]:
        """See `Algorithm`."""
        if not _unrolled(problem):
            return [PixelTile(self, 1, 1)]
        return [PixelTile(self, *tile) for tile, sizes in TILES.items() if problem.size_x in sizes]

    def find(self, name: str, problem: Convolution, machine: Machine) -> PixelTile | None:
        """See `Algorithm`."""
        return next((tile for tile in self.implementations(problem, machine) if tile.name == name), None)


@dataclass(frozen=True)
class PixelTile:
    """A thread computes `rows` x `columns` pixels of the output, of as many channels as are loaded at once."""

    algorithm: Depthwise
    rows: int
    columns: int
    certain: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """See `Implementation`."""
        return f"{self.algorithm.name}:{self.rows}x{self.columns}"

    def cycles(self, problem: Convolution, machine: Machine) -> float:
        """See `Implementation`; roughly: it counts instructions, as memory takes as long for all tiles."""
        p, tile, numbers = problem, self.rows * self.columns, problem.piece
        loads = ((self.rows - 1) * p.stride + p.size_y) * ((self.columns - 1) * p.stride + p.size_x)
        taps = p.size_y * p.size_x
        instructions = (
            THREAD_INSTRUCTIONS
            + loads * (numbers + LOAD_INSTRUCTIONS)
            + tile * numbers * (taps + OUTPUT_INSTRUCTIONS)
            + taps * LOAD_INSTRUCTIONS
        )
        blocks = max(1, self._blocks(p) / machine.multiprocessors)
        return START_CYCLES + blocks * THREADS * instructions / (32 * ISSUED)

    def kernel(self, problem: Convolution) -> Kernel:
        """The kernel that computes such tiles for `problem`."""
        window = (problem.size_x, problem.stride) if _unrolled(problem) else (0, 0)
        sizes = *window, self.rows, self.columns, problem.piece, *self._shape(problem)
        template = ", ".join(map(str, [*sizes, *activation_codes(problem)]))
        call = f"depthwise<{TYPES[problem.precision]}, {template}>"
        return Kernel("depthwise", call, "Convolution", THREADS)

    def workspace(self, problem: Convolution) -> int:
        """See `Implementation`."""
        return 0

    def lower(self, problem: Convolution, operands: Operands) -> list[Launch]:
        """See `Implementation`."""
        channels = _channels(problem)
        arguments = convolution_arguments(problem, operands, group_channels=channels, group_filters=channels)
        return [Launch(self.kernel(problem), (self._blocks(problem), 1), arguments)]

    def _shape(self, problem: Convolution) -> tuple[int, int]:
        """A thread block's threads for neighbouring channels, and its tiles beside each other."""
        return (
            _least_idle(LANES, _channels(problem) // problem.piece),
            _least_idle(ACROSS, ceil(problem.out_width / self.columns)),
        )

    def _blocks(self, problem: Convolution) -> int:
        lanes, across = self._shape(problem)
        deep = ceil(_channels(problem) / (lanes * problem.piece))
        wide = ceil(problem.out_width / (across * self.columns))
        tile_rows = problem.pictures * ceil(problem.out_height / self.rows)
        return deep * wide * ceil(tile_rows / (THREADS // (lanes * across)))


def _channels(problem: Convolution) -> int:
    """How many channels there are, in whole packs."""
    return problem.groups.count * problem.groups.filters


def _unrolled(problem: Convolution) -> bool:
    return problem.size_y == problem.size_x and (problem.size_x, problem.stride) in UNROLLED


def _least_idle(together: Sequence[int], count: int) -> int:
    """The size out of `together` for which groups of `count` leave the fewest places empty; of equals the first."""
    return min(together, key=lambda size: ceil(count / size) * size)
