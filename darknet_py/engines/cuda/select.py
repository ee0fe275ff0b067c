"""Which tiles a convolution is computed in: all that would do, by what a model of the GPU says of their speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from .kernels import STATIC_SHARED, TYPES, Kernel
from .packing import ITEM_SIZES, STRIP


@dataclass(frozen=True)
class Product:
    """A convolution as a product of matrices.

    Attributes
    ----------
    pixels : int
        Rows: the output's, of all pictures.
    filters : int
        Columns of a group.
    strips : int
        Of 64 bytes, that are summed over.
    groups : int
    precision : str
    piece : int
        Numbers of a window that are copied at once: those that always lie side by side.
    """

    pixels: int
    filters: int
    strips: int
    groups: int
    precision: str
    piece: int


@dataclass(frozen=True)
class Tile:
    """What a block computes, `rows` x `columns`, and each of its warps.

    Attributes
    ----------
    algorithm : str
        The structure in convolution.cu: ``TensorCores`` or ``Scalar``.
    rows, columns, warp_rows, warp_columns : int
    stages : int
        Strips in shared memory.
    """

    algorithm: str
    rows: int
    columns: int
    warp_rows: int
    warp_columns: int
    stages: int

    @property
    def threads(self) -> int:
        return 32 * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    @property
    def shared(self) -> int:
        """Bytes of shared memory: strips, then rows of sums, which need less."""
        turned = self.threads // 32 * 16 * (self.warp_columns + 4) * 4
        return max(self.stages * (self.rows + self.columns) * STRIP, turned)

    def kernel(self, precision: str, piece: int) -> Kernel:
        """The kernel that computes such tiles."""
        sizes = self.rows, self.columns, self.warp_rows, self.warp_columns, self.stages, piece
        call = f"convolve<{TYPES[precision]}, {self.algorithm}, {', '.join(map(str, sizes))}>"
        return Kernel("convolution", call, "Convolution", self.threads, self.shared)


@dataclass(frozen=True)
class Choice:
    """An implementation: tiles, each shared by `splits` blocks that sum up a part of the strips."""

    tile: Tile
    splits: int

    @cached_property
    def name(self) -> str:
        tile = self.tile
        algorithm = "tensor" if tile.algorithm == "TensorCores" else "scalar"
        return f"implicit_gemm:{algorithm}_{tile.rows}x{tile.columns}/{self.splits}"

    def tiles(self, product: Product) -> tuple[int, int]:
        """How many lie below each other, and beside each other in each group."""
        return ceil(product.pixels / self.tile.rows), ceil(product.filters / self.tile.columns)

    def count(self, product: Product) -> int:
        """Tiles of all groups."""
        rows, columns = self.tiles(product)
        return rows * columns * product.groups

    def workspace(self, product: Product) -> int:
        """Bytes in which the blocks of a tile put their sums."""
        return 4 * self.count(product) * self.splits * self.tile.rows * self.tile.columns


TENSOR_TILES = tuple(
    Tile("TensorCores", *sizes)
    for sizes in (
        (256, 128, 64, 64, 3),
        (128, 256, 64, 64, 3),
        (128, 128, 64, 32, 4),
        (128, 64, 32, 32, 4),
        (64, 128, 32, 32, 4),
        (64, 64, 32, 32, 4),
        (128, 32, 32, 32, 4),
        (64, 32, 32, 16, 4),
        (32, 64, 16, 32, 4),
        (32, 32, 16, 16, 4),
        (16, 128, 16, 32, 4),
        (16, 64, 16, 16, 4),
    )
)
SCALAR_TILES = tuple(
    Tile("Scalar", *sizes)
    for sizes in (
        (128, 128, 64, 32, 3),
        (128, 64, 32, 32, 3),
        (64, 64, 32, 32, 3),
        (64, 32, 32, 16, 4),
        (32, 64, 16, 32, 4),
        (32, 32, 16, 16, 4),
        (16, 64, 16, 16, 4),
    )
)
SPLITS = 2, 3, 4, 6, 8, 12, 16, 24, 32
MAX_SHARING = 8  # blocks a multiprocessor, where they share tiles
# Multiplications that a multiprocessor does in a cycle (NVIDIA's tables of throughput), times the bytes of a number.
RATES = {("TensorCores", 2): 1024 * 2, ("TensorCores", 4): 512 * 4, ("Scalar", 4): 128 * 4, ("Scalar", 2): 128 * 2}
BYTES_A_CYCLE = 48  # that a multiprocessor reads from the second cache
STRIP_CYCLES = 120  # at least, from one strip to the next: two barriers and the instructions round a product
START_CYCLES = 2500  # of a block: its first copies, its epilogue
COLLECT_CYCLES = 2000  # more, where blocks share a tile


def candidates(product: Product, capability: tuple[int, int], multiprocessors: int, shared_limit: int) -> list[Choice]:
    """All choices that can compute `product`, the probably fastest first."""
    choices = _possible(product, capability, multiprocessors, shared_limit)
    return sorted(choices, key=lambda choice: (_cycles(choice, product, multiprocessors), choice.name))


def has_tensor_cores(precision: str, capability: tuple[int, int]) -> bool:
    """Whether the kernels for tensor cores, which are of compute capability 8.0 and later, do `precision`."""
    return precision != "float32" and capability >= (8, 0)


def _possible(
    product: Product, capability: tuple[int, int], multiprocessors: int, shared_limit: int
) -> Iterator[Choice]:
    for tile in TENSOR_TILES if has_tensor_cores(product.precision, capability) else SCALAR_TILES:
        if tile.shared + STATIC_SHARED > shared_limit:
            continue
        yield Choice(tile, 1)
        for splits in SPLITS:
            choice = Choice(tile, splits)
            # More blocks have nothing to gain, and each takes a tile's memory for its sums.
            if 2 * splits <= product.strips and choice.count(product) * splits <= MAX_SHARING * multiprocessors:
                yield choice


def _cycles(choice: Choice, product: Product, multiprocessors: int) -> float:
    """How long it takes, roughly: the model knows arithmetic, the second cache and the waves of blocks."""
    tile = choice.tile
    blocks = choice.count(product) * choice.splits
    resident = max(1, min(1024 // tile.threads, (160 << 10) // tile.shared))  # blocks a multiprocessor
    waves = ceil(blocks / (resident * multiprocessors))
    together = min(resident, ceil(blocks / multiprocessors))
    rate = RATES[tile.algorithm, ITEM_SIZES[product.precision]]
    arithmetic = tile.rows * tile.columns * STRIP / rate
    traffic = (tile.rows + tile.columns) * STRIP / BYTES_A_CYCLE
    strip = max(together * arithmetic, together * traffic, STRIP_CYCLES)
    extra = START_CYCLES + (COLLECT_CYCLES if choice.splits > 1 else 0)
    return waves * (ceil(product.strips / choice.splits) * strip + extra)
