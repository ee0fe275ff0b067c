"""Which tiles a convolution is computed in: all that would do, by what a model of the GPU says of their speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from math import ceil

from .convolution import Convolution, Operands
from .kernels import ACTIVATION_CODES, STATIC_SHARED, TYPES, Kernel, Launch, arguments_of
from .packing import ITEM_SIZES, STRIP


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

    def count(self, convolution: Convolution) -> int:
        """Tiles of all groups."""
        rows, columns = self._tiles(convolution)
        return rows * columns * convolution.groups.count

    def workspace(self, convolution: Convolution) -> int:
        """Bytes in which the blocks of a tile put their sums."""
        shared = self.splits if self.splits > 1 else 0
        return 4 * self.count(convolution) * shared * self.tile.rows * self.tile.columns

    def launch(self, convolution: Convolution, operands: Operands) -> Launch:
        """The kernel over all tiles."""
        groups, (rows, columns) = convolution.groups, self._tiles(convolution)
        same = "height", "width", "out_height", "out_width", "size_y", "size_x", "step", "padding", "strips", "pixels"
        strides = "source_stride", "target_stride", "residual_stride"
        arguments = arguments_of(
            "Convolution",
            **{name: getattr(convolution, name) for name in (*same, *strides)},
            **{name: address for name, address in asdict(operands).items() if name != "filters"},
            group_channels=groups.channels,
            group_filters=groups.filters,
            splits=self.splits,
            column_tiles=columns,
            activation=ACTIVATION_CODES[convolution.activation],
            final_activation=ACTIVATION_CODES[convolution.final_activation],
        )
        kernel = self.tile.kernel(convolution.precision, convolution.piece)
        return Launch(kernel, (rows * columns, groups.count * self.splits), arguments)

    def _tiles(self, convolution: Convolution) -> tuple[int, int]:
        """How many lie below each other, and beside each other in each group."""
        return ceil(convolution.pixels / self.tile.rows), ceil(convolution.groups.filters / self.tile.columns)


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


def candidates(
    convolution: Convolution, capability: tuple[int, int], multiprocessors: int, shared_limit: int
) -> list[Choice]:
    """All choices that can compute `convolution`, the probably fastest first."""
    choices = _possible(convolution, capability, multiprocessors, shared_limit)
    return sorted(choices, key=lambda choice: (_cycles(choice, convolution, multiprocessors), choice.name))


def most_shared(multiprocessors: int) -> int:
    """How many tiles of a convolution blocks share, at most."""
    return MAX_SHARING * multiprocessors // 2


def has_tensor_cores(precision: str, capability: tuple[int, int]) -> bool:
    """Whether the kernels for tensor cores, which are of compute capability 8.0 and later, do `precision`."""
    return precision != "float32" and capability >= (8, 0)


def _possible(
    convolution: Convolution, capability: tuple[int, int], multiprocessors: int, shared_limit: int
) -> Iterator[Choice]:
    for tile in TENSOR_TILES if has_tensor_cores(convolution.precision, capability) else SCALAR_TILES:
        if tile.shared + STATIC_SHARED > shared_limit:
            continue
        yield Choice(tile, 1)
        for splits in SPLITS:
            choice = Choice(tile, splits)
            # More blocks have nothing to gain, and each takes a tile's memory for its sums.
            if 2 * splits <= convolution.strips and choice.count(convolution) * splits <= MAX_SHARING * multiprocessors:
                yield choice


def _cycles(choice: Choice, convolution: Convolution, multiprocessors: int) -> float:
    """How long it takes, roughly: the model knows arithmetic, the second cache and the waves of blocks."""
    tile = choice.tile
    blocks = choice.count(convolution) * choice.splits
    resident = max(1, min(1024 // tile.threads, (160 << 10) // tile.shared))  # blocks a multiprocessor
    waves = ceil(blocks / (resident * multiprocessors))
    together = min(resident, ceil(blocks / multiprocessors))
    rate = RATES[tile.algorithm, ITEM_SIZES[convolution.precision]]
    arithmetic = tile.rows * tile.columns * STRIP / rate
    traffic = (tile.rows + tile.columns) * STRIP / BYTES_A_CYCLE
    strip = max(together * arithmetic, together * traffic, STRIP_CYCLES)
    extra = START_CYCLES + (COLLECT_CYCLES if choice.splits > 1 else 0)
    return waves * (ceil(convolution.strips / choice.splits) * strip + extra)
