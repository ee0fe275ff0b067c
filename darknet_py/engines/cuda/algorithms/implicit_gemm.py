"""Products whose windows are gathered as they are read, in tiles: a kernel of our own, and a model of its speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from ....forks import cached_property
from ..convolution import Convolution, Operands
from ..kernels import STATIC_SHARED, TYPES, Kernel, Launch
from ..packing import ITEM_SIZES, STRIP
from .arguments import activation_codes, convolution_arguments
from .base import Machine
from .weights import Rows

SPLITS = 2, 3, 4, 6, 8, 12, 16, 24, 32
MAX_SHARING = 8  # thread blocks for each multiprocessor, where they share tiles
TENSOR_CORES = (8, 0)  # the lowest compute capability for which there is a kernel for them
# Multiplications that a multiprocessor does in a cycle (NVIDIA's tables of throughput), times the bytes of a number.
RATES = {("TensorCores", 2): 1024 * 2, ("TensorCores", 4): 512 * 4, ("Scalar", 4): 128 * 4, ("Scalar", 2): 128 * 2}
BYTES_A_CYCLE = 48  # that a multiprocessor reads from the L2 cache
STRIP_CYCLES = 160  # at least, from one strip to the next: a barrier and the instructions round a product
START_CYCLES = 2500  # of a thread block: its first copies, its epilogue
COLLECT_CYCLES = 2000  # more, where thread blocks share a tile


@dataclass(frozen=True)
class ImplicitGemm:
    """Tiles of `rows` x `columns`, each by one thread block or shared by several, whose warps compute a part each.

    Attributes
    ----------
    product : str
        The structure in convolution.cu: ``TensorCores`` or ``Scalar``.
    rows, columns, warp_rows, warp_columns : int
    stages : int
        Strips in shared memory.
    """

    product: str
    rows: int
    columns: int
    warp_rows: int
    warp_columns: int
    stages: int

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        units = {"TensorCores": "tensor", "Scalar": "scalar"}[self.product]
        return f"implicit_gemm:{units}_{self.rows}x{self.columns}"

    @property
    def threads(self) -> int:
        """Threads in a thread block."""
        return 32 * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    @property
    def shared(self) -> int:
        """Bytes of shared memory, at most."""
        return self.shared_for(self.stages)

    def shared_for(self, strips: int) -> int:
        """Bytes of shared memory for sums over so many strips: it holds the stages' strips, then rows of sums."""
        turned = self.threads // 32 * 16 * (self.warp_columns + 4) * 4
        return max(min(strips, self.stages) * (self.rows + self.columns) * STRIP, turned)

    def misses(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        tensor_cores = problem.precision != "float32" and machine.capability >= TENSOR_CORES
        if self.product == "TensorCores" and not tensor_cores:
            return "needs compute capability 8.0"
        if self.product == "Scalar" and tensor_cores:
            return "leaves it to tensor cores"
        if self.shared + STATIC_SHARED > machine.shared_limit:
            return f"needs {self.shared + STATIC_SHARED} bytes of shared memory"
        return ""

    def declines(self, problem: Convolution, machine: Machine) -> str:
        """See `Algorithm`."""
        return self.misses(problem, machine)

    def order(self, problem: Convolution) -> Rows:
        """See `Algorithm`: whole strips."""
        item = ITEM_SIZES[problem.precision]
        return Rows(problem.precision, problem.groups, problem.strips * STRIP // item)

    def implementations(self, problem: Convolution, machine: Machine) -> list[Tiling]:
        """See `Algorithm`."""
        return [*self._possible(problem, machine)]

    def find(self, name: str, problem: Convolution, machine: Machine) -> Tiling | None:
        """See `Algorithm`."""
        return next((tiling for tiling in self._possible(problem, machine) if tiling.name == name), None)

    def kernel(self, problem: Convolution, strips: int) -> Kernel:
        """The kernel that computes such tiles of sums over so many strips."""
        sizes = self.rows, self.columns, self.warp_rows, self.warp_columns, self.stages, problem.piece
        template = ", ".join(map(str, [*sizes, *activation_codes(problem)]))
        call = f"convolve<{TYPES[problem.precision]}, {self.product}, {template}>"
        sums = self.warp_rows * self.warp_columns // 32  # of a thread, each in a register
        # Products without tensor cores keep strips in registers too, which would not suffice for several thread blocks.
        resident = 0 if self.product == "Scalar" else {128: 1, 64: 2, 32: 3}.get(sums, 4)
        return Kernel("convolution", call, "Convolution", self.threads, self.shared_for(strips), resident)

    def tiles(self, problem: Convolution) -> tuple[int, int]:
        """How many tiles lie below each other, and beside each other in each group."""
        return ceil(problem.pixels / self.rows), ceil(problem.groups.filters / self.columns)

    def _possible(self, problem: Convolution, machine: Machine) -> Iterator[Tiling]:
        yield Tiling(self, 1)
        for splits in SPLITS:
            tiling = Tiling(self, splits)
            # More thread blocks gain nothing, and each takes a tile's memory for its sums.
            most = MAX_SHARING * machine.multiprocessors
            if 2 * splits <= problem.strips and tiling.count(problem) * splits <= most:
                yield tiling


@dataclass(frozen=True)
class Tiling:
    """Tiles, each shared by `splits` thread blocks that sum up a part of the strips."""

    algorithm: ImplicitGemm
    splits: int
    certain: ClassVar[bool] = True

    @cached_property
    def name(self) -> str:
        """See `Implementation`."""
        return f"{self.algorithm.name}/{self.splits}"

    def count(self, problem: Convolution) -> int:
        """Tiles of all groups."""
        rows, columns = self.algorithm.tiles(problem)
        return rows * columns * problem.groups.count

    def cycles(self, problem: Convolution, machine: Machine) -> float:
        """See `Implementation`; roughly: by arithmetic, the L2 cache and the waves of thread blocks."""
        tile = self.algorithm
        blocks = self.count(problem) * self.splits
        strips = self._strips(problem)
        shared = tile.shared_for(strips)
        resident = max(1, min(1024 // tile.threads, (160 << 10) // shared))  # thread blocks on a multiprocessor
        waves = ceil(blocks / (resident * machine.multiprocessors))
        together = min(resident, ceil(blocks / machine.multiprocessors))
        rate = RATES[tile.product, ITEM_SIZES[problem.precision]]
        arithmetic = tile.rows * tile.columns * STRIP / rate
        traffic = (tile.rows + tile.columns) * STRIP / BYTES_A_CYCLE
        strip = max(together * arithmetic, together * traffic, STRIP_CYCLES)
        extra = START_CYCLES + (COLLECT_CYCLES if self.splits > 1 else 0)
        return waves * (strips * strip + extra)

    def workspace(self, problem: Convolution) -> int:
        """See `Implementation`: the thread blocks of a tile put their sums there."""
        shared = self.splits if self.splits > 1 else 0
        return 4 * self.count(problem) * shared * self.algorithm.rows * self.algorithm.columns

    def lower(self, problem: Convolution, operands: Operands) -> list[Launch]:
        """See `Implementation`."""
        groups, (rows, columns) = problem.groups, self.algorithm.tiles(problem)
        arguments = convolution_arguments(
            problem,
            operands,
            group_channels=groups.channels,
            group_filters=groups.filters,
            strips=problem.strips,
            splits=self.splits,
            column_tiles=columns,
        )
        kernel = self.algorithm.kernel(problem, self._strips(problem))
        return [Launch(kernel, (rows * columns, groups.count * self.splits), arguments)]

    def _strips(self, problem: Convolution) -> int:
        """How many strips a thread block sums up, at most."""
        return ceil(problem.strips / self.splits)


TENSOR = tuple(
    ImplicitGemm("TensorCores", *sizes)
    for sizes in (
        (256, 128, 64, 64, 3),
        (128, 256, 64, 64, 3),
        (128, 128, 64, 32, 3),
        (128, 64, 32, 32, 3),
        (64, 128, 32, 32, 3),
        (64, 64, 32, 32, 4),
        (128, 32, 32, 32, 3),
        (64, 32, 32, 16, 4),
        (32, 64, 16, 32, 4),
        (32, 32, 16, 16, 4),
        (16, 128, 16, 32, 4),
        (16, 64, 16, 16, 4),
    )
)
SCALAR = tuple(
    ImplicitGemm("Scalar", *sizes)
    for sizes in (
        (128, 128, 64, 32, 2),
        (128, 64, 32, 32, 2),
        (64, 64, 32, 32, 2),
        (64, 32, 32, 16, 3),
        (32, 64, 16, 32, 3),
        (32, 32, 16, 16, 3),
        (16, 64, 16, 16, 3),
    )
)


def most_shared(multiprocessors: int) -> int:
    """How many tiles of a convolution thread blocks share, at most."""
    return MAX_SHARING * multiprocessors // 2
