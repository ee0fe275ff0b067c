"""What an algorithm is: it declines a layer or predicts its cost, and determines its weights' order and operations."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

from ....layers import Array, Layer
from ..arena import Store
from ..builder import Table
from ..isa import BLOCK, COLUMNS, DOTS, HALF, ISA, LANES, MACHINE, ROWS
from .products import Operands
from .weights import PackedWeights, blocks

_Kind = TypeVar("_Kind", bound=Layer, contravariant=True)


class Algorithm(Protocol[_Kind]):
    """A way to compute layers of a kind: convolutions or connected layers.

    Attributes
    ----------
    name : str
        ``wino_4x4_3x3``, ``strassen_1x1``, ``gemm_1x1``, ...
    narrow : bool
        Whether it multiplies in bfloat16.
    plain : bool
        Whether it can read pictures in plain layout.
    halves : bool
        Whether it can store the maximum of each 2 x 2 pixels, of fewer at the last row and column, instead of them.
    sums_rows : bool
        Whether it can sum up each row that it stores, for the mean of all.
    """

    @property
    def name(self) -> str: ...
    @property
    def narrow(self) -> bool: ...
    @property
    def plain(self) -> bool: ...
    @property
    def halves(self) -> bool: ...
    @property
    def sums_rows(self) -> bool: ...

    def declines(self, layer: _Kind) -> str:
        """Why it cannot compute `layer`; empty where it can."""

    def cycles(self, layer: _Kind) -> float:
        """Predicted cycles, for one picture on one core."""

    def reorders(self, layer: _Kind) -> bool:
        """Whether it puts the layer's weights into another order before they are packed."""

    def packed_size(self, layer: _Kind) -> int:
        """Bytes of the layer's packed weights in float32."""

    def pack(
        self, table: Table, store: Store, layer: _Kind, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """The layer's weights, times the `factor` of each output channel, in the algorithm's order.

        The work is done when `table` has run; memory comes from `store`.
        """

    def workspace(self, layer: _Kind, images: int, threads: int) -> int:
        """Bytes that its operations need besides source and target."""

    def lower(self, table: Table, layer: _Kind, weights: PackedWeights, operands: Operands) -> None:
        """Add its operations to `table`."""


AnyAlgorithm = Algorithm[Any]  # for a kind of layer that only its list knows


class Choice(NamedTuple):
    """An algorithm for a layer.

    Attributes
    ----------
    algorithm : Algorithm, optional
        None for the layer's definition.
    cycles : float
        Predicted, for one picture on one core.
    reason : str
        Why it declines; empty where it can.
    """

    algorithm: AnyAlgorithm | None
    cycles: float = float("inf")
    reason: str = ""

    @property
    def name(self) -> str:
        """The algorithm's name, or ``definition``."""
        return "definition" if self.algorithm is None else self.algorithm.name

    @property
    def narrow(self) -> bool:
        """Whether it multiplies in bfloat16."""
        return self.algorithm is not None and self.algorithm.narrow

    @property
    def halves(self) -> bool:
        """Whether it can halve what it stores."""
        return self.algorithm is not None and self.algorithm.halves

    @property
    def sums_rows(self) -> bool:
        """Whether it can sum up the rows that it stores."""
        return self.algorithm is not None and self.algorithm.sums_rows

    @property
    def implementation(self) -> str:
        """The id: algorithm and instruction set."""
        return self.name if self.algorithm is None else f"{self.name}{'_bfloat16' * self.narrow}:{ISA.name}"


def cell_of(narrow: bool) -> int:
    """Bytes of LANES channels of a pixel as they are multiplied: in bfloat16 where `narrow`."""
    return HALF if narrow else BLOCK


def matrix_size(out_channels: int, channels: int, taps: int) -> int:
    """Bytes of weights in panels of whole blocks of channels."""
    return blocks(out_channels) * BLOCK * blocks(channels) * LANES * taps


def product_cycles(
    pixels: int, depth: int, channels: int, batches: int = 1, narrow: bool = False, ahead: bool = True
) -> float:
    """Cycles of `batches` products pixels x depth x channels: of arithmetic, or of fetching weights, if that is more.

    All arithmetic overlaps with the fetching where weights are fetched `ahead`; otherwise only that of the first of the
    tiles that share them.
    """
    arithmetic = arithmetic_cycles(pixels, depth, channels, batches, narrow)
    first = arithmetic if ahead else arithmetic / -(-pixels // ROWS)
    return max(first, fetch_cycles(depth, channels, batches, narrow)) + arithmetic - first


def arithmetic_cycles(pixels: int, depth: int, channels: int, batches: int, narrow: bool) -> float:
    """Cycles of `batches` products pixels x depth x channels, once their weights are there."""
    columns, tiles = blocks(channels), -(-pixels // ROWS)
    if narrow and DOTS is not None:
        depth = depth // 2
    # A tile of few pixels is bound by loads: one for each column of weights, one broadcast for each pixel.
    loads = tiles * columns + pixels * columns / COLUMNS
    return batches * (max(pixels * columns, loads) * depth + tiles * columns * MACHINE.tile_cycles / COLUMNS)


def fetch_cycles(depth: int, channels: int, batches: int, narrow: bool) -> float:
    """Cycles of fetching the weights from memory; 0 where they are few enough to be in a cache."""
    weights = batches * depth * blocks(channels) * LANES * (2 if narrow else 4)
    return weights / MACHINE.streamed_bytes if weights > MACHINE.cached_weights else 0.0
