"""The operations that compiled code walks through: what each is told, by the same names on both sides.

An operation is a record here, and a row of int64 and one of float32 there; each name is a column, and means the same
to all operations that have it. Addresses and strides are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one call of a kernel is told."""

    opcode: ClassVar[int]


@dataclass(frozen=True, kw_only=True)
class Gemm(Operation):
    """Products of pixels and weights, for each batch, panel of output channels and row of pixels."""

    batches: int  # products that share nothing: the positions of a Winograd tile, the blocks of a grouped convolution
    panels: int  # panels of COLUMNS registers of output channels
    last_columns: int  # registers in the last of them
    row_count: int  # rows of output pixels
    pixels: int  # output pixels in a row
    chunk: int  # tiles that a thread takes at a time
    claim: int  # whether threads take their next item early, to fetch its weights meanwhile
    cell: int  # bytes of a pixel's LANES channels in A
    out_cell: int  # the same in C, and in the residual
    pixel: int  # from one pixel of a tile to the next in A
    a: int
    a_batch: int
    a_row: int
    b: int
    b_batch: int
    b_panel: int
    c: int
    c_batch: int
    c_row: int
    c_plane: int
    taps: int  # offsets in A
    tap_count: int
    depth: int
    bias: int
    bias_batch: int
    residual: int  # added before the last activation; 0 where there is none
    slope: float
    final: float


@dataclass(frozen=True, kw_only=True)
class WinogradInput(Operation):
    """Tiles of pictures, transformed."""

    row_count: int  # rows of tiles
    first_row: int
    tile_rows: int  # tiles in a column and in a row of a picture
    tile_columns: int
    in_tile: int  # cells in a side of an input and of an output tile
    out_tile: int
    group_size: int  # tiles that lie together
    tiles: int
    tiles_plane: int
    a: int
    a_plane: int
    blocks: int
    height: int
    width: int
    padding: int
    cell: int  # of the tiles


@dataclass(frozen=True, kw_only=True)
class WinogradOutput(Operation):
    """Products of tiles, transformed back."""

    row_count: int
    first_row: int
    tile_rows: int
    tile_columns: int
    in_tile: int
    out_tile: int
    group_size: int
    products: int
    products_plane: int
    out_blocks: int
    out_height: int
    out_width: int
    c: int
    c_plane: int
    bias: int
    residual: int
    out_cell: int
    slope: float
    final: float


@dataclass(frozen=True, kw_only=True)
class Winograd(Operation):
    """All of a convolution by Winograd's algorithm, group of tiles by group of tiles."""

    row_count: int
    first_row: int
    tile_rows: int
    tile_columns: int
    in_tile: int
    out_tile: int
    group_size: int
    tile_groups: int
    tiles: int
    tiles_plane: int
    products: int
    products_plane: int
    thread_bytes: int  # of a thread's tiles and products
    a: int
    a_plane: int
    blocks: int
    height: int
    width: int
    padding: int
    cell: int
    b: int
    b_batch: int
    b_panel: int
    panels: int
    last_columns: int
    taps: int
    tap_count: int
    depth: int
    no_bias: int  # zeros
    out_blocks: int
    out_height: int
    out_width: int
    c: int
    c_plane: int
    bias: int
    residual: int
    out_cell: int
    slope: float
    final: float


@dataclass(frozen=True, kw_only=True)
class Strassen(Operation):
    """A 1 x 1 convolution by Strassen's algorithm."""

    a: int
    a_plane: int
    images: int
    pixels: int
    group_size: int  # pairs of pixels in an item
    blocks: int
    out_blocks: int
    b: int
    b_panel: int
    panels: int
    taps: int
    sum_taps: int  # the same in sums
    tiles: int  # where sums lie
    products: int
    thread_bytes: int
    c: int
    c_plane: int
    bias: int
    residual: int
    slope: float
    final: float


@dataclass(frozen=True, kw_only=True)
class Pad(Operation):
    """Blocked pictures with zeros round them."""

    a: int
    c: int
    cell: int
    blocks: int
    images: int
    height: int
    width: int
    padding: int  # before the first row and column
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class ToPixels(Operation):
    """Pictures of few channels as pixels, zeros round them."""

    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    channels: int
    images: int
    height: int
    width: int
    padding: int
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class ToPhases(Operation):
    """Pictures of few channels, split into phases as channels, blocked."""

    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    channels: int
    images: int
    height: int
    width: int
    padding: int
    stride: int
    blocks: int
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class ToBlocks(Operation):
    """Plain pictures, blocked."""

    a: int
    c: int
    out_cell: int
    blocks: int
    channels: int
    images: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Flatten(Operation):
    """Blocked pictures as pictures of one cell."""

    a: int
    c: int
    cell: int
    blocks: int
    cells: int  # of a picture's block
    images: int


@dataclass(frozen=True, kw_only=True)
class Crop(Operation):
    """alpha * A + beta within a window, to plain pictures."""

    a: int
    a_batch: int
    a_block: int  # from LANES channels to the next
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    images: int
    channels: int
    top: int
    left: int
    out_height: int
    out_width: int
    alpha: float
    beta: float


@dataclass(frozen=True, kw_only=True)
class MaxPool(Operation):
    """Maximum over windows."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    size: int
    stride: int
    padding: int
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class AvgPool(Operation):
    """Mean over planes."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Add(Operation):
    """slope(alpha * A + beta * other)."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    other: int
    other_height: int
    other_width: int
    other_step: int  # every so many cells of the other are taken
    spread: int  # and are added to every so many cells
    summed_blocks: int  # that have another summand
    slope: float
    alpha: float
    beta: float


@dataclass(frozen=True, kw_only=True)
class Scale(Operation):
    """curve(factor * A + bias), or curve(A)."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    cells: int
    factor: int  # 0 where there is none
    bias: int
    curve: int  # an activation's place in CURVES, from 1; 0 for x > 0 ? x : slope * x
    slope: float


@dataclass(frozen=True, kw_only=True)
class Softmax(Operation):
    """Softmax of pictures of one cell, to plain ones."""

    a: int
    c: int
    cell: int
    images: int
    channels: int
    groups: int
    inverse_temperature: float


@dataclass(frozen=True, kw_only=True)
class Pack(Operation):
    """Weights, times a factor of each filter, in the micro-kernel's order."""

    weights: int
    filter_stride: int
    channel_stride: int
    tap_stride: int
    b: int
    b_panel: int
    panels: int
    last_columns: int
    channels: int
    out_channels: int
    tap_count: int
    factor: int


@dataclass(frozen=True, kw_only=True)
class PackWinograd(Operation):
    """The same, transformed."""

    weights: int
    filter_stride: int
    channel_stride: int
    tap_stride: int
    b: int
    b_panel: int
    b_batch: int
    panels: int
    last_columns: int
    channels: int
    out_channels: int
    in_tile: int
    size: int  # cells in a side of a kernel
    factor: int
    transform: int  # the matrix


@dataclass(frozen=True, kw_only=True)
class SumProducts(Operation):
    """A's numbers, rows, times B's registers, columns, summed over pixels and pictures: gradients of weights."""

    images: int
    parts: int  # of the pictures, whose sums are apart
    part_bytes: int
    blocks: int
    depth: int  # rows of a block, side by side
    row_count: int  # rows of all blocks
    out_blocks: int  # columns
    out_height: int
    out_width: int
    chunk: int  # rows of pixels at a time
    taps: int
    tap_count: int
    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    b: int
    b_batch: int
    b_plane: int
    b_row: int
    b_pixel: int
    c: int
    c_batch: int  # from one tap to the next
    c_row: int
    clear: int  # whether C is zero before


@dataclass(frozen=True, kw_only=True)
class AddGradients(Operation):
    """Such sums, added to gradients in a weights file's order."""

    a: int
    a_batch: int
    a_row: int
    parts: int
    part_bytes: int
    row_count: int
    out_blocks: int
    out_channels: int
    channels: int  # rows are pixels of so many channels
    tap_count: int
    c: int
    filter_stride: int
    channel_stride: int
    row_stride: int  # from one pixel to the next
    tap_stride: int


@dataclass(frozen=True, kw_only=True)
class Measure(Operation):
    """Means of pictures' blocks, and squared distances from them."""

    a: int
    sums: int
    blocks: int
    images: int
    cells: int


@dataclass(frozen=True, kw_only=True)
class FoldMeasures(Operation):
    """Mean, variance and factor of each channel of a mini-batch."""

    sums: int
    blocks: int
    images: int
    cells: int
    channels: int
    scale: int
    mean: int
    variance: int
    factor: int


@dataclass(frozen=True, kw_only=True)
class Normalize(Operation):
    """curve(factor * (A - mean) + bias)."""

    a: int
    c: int
    blocks: int
    cells: int
    mean: int
    factor: int
    bias: int
    curve: int
    slope: float


@dataclass(frozen=True, kw_only=True)
class BendDelta(Operation):
    """Deltas times an activation's slope, and their sums."""

    a: int  # what was normalized; 0 where nothing was
    other: int  # what the activation gave
    c: int
    sums: int
    mean: int
    blocks: int
    images: int
    cells: int
    curve: int
    slope: float


@dataclass(frozen=True, kw_only=True)
class FoldDelta(Operation):
    """Gradients of biases and scales, and what deltas become before a normalization."""

    sums: int
    blocks: int
    images: int
    cells: int
    channels: int
    scale: int  # 0 where nothing is normalized
    variance: int
    factor: int
    tilt: int
    bias: int
    bias_gradient: int  # 0 where it is not wanted
    scale_gradient: int


@dataclass(frozen=True, kw_only=True)
class NormalizeDelta(Operation):
    """factor * C + tilt * (A - mean) + bias."""

    a: int
    c: int
    blocks: int
    cells: int
    mean: int
    factor: int
    tilt: int
    bias: int


@dataclass(frozen=True, kw_only=True)
class AddDelta(Operation):
    """C + alpha * A."""

    a: int
    c: int
    cells: int
    clear: int
    alpha: float


@dataclass(frozen=True, kw_only=True)
class MultiplyCells(Operation):
    """A * other."""

    a: int
    other: int
    c: int
    cells: int


@dataclass(frozen=True, kw_only=True)
class MaxPoolDelta(Operation):
    """Deltas of maxima, to where these were."""

    a: int
    other: int
    b: int
    c: int
    clear: int
    blocks: int
    images: int
    height: int
    width: int
    size: int
    stride: int
    padding: int
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class AvgPoolDelta(Operation):
    """Deltas of means, to all that went into them."""

    a: int
    c: int
    clear: int
    blocks: int
    images: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Spread(Operation):
    """Blocked pictures, their cells apart."""

    a: int
    c: int
    blocks: int
    images: int
    height: int
    width: int
    stride: int
    out_height: int
    out_width: int


@dataclass(frozen=True, kw_only=True)
class Unflatten(Operation):
    """Pictures of one cell as blocked pictures."""

    a: int
    c: int
    clear: int
    blocks: int
    cells: int
    images: int


@dataclass(frozen=True, kw_only=True)
class ToPlain(Operation):
    """Blocked pictures, plain."""

    a: int
    c: int
    blocks: int
    channels: int
    images: int
    height: int
    width: int


OPERATIONS: tuple[type[Operation], ...] = (
    Gemm, WinogradInput, WinogradOutput, Winograd, Strassen, Pad, ToPixels, ToPhases, ToBlocks, Flatten, Crop, MaxPool,
    AvgPool, Add, Scale, Softmax, Pack, PackWinograd, SumProducts, AddGradients, Measure, FoldMeasures, Normalize,
    BendDelta, FoldDelta, NormalizeDelta, AddDelta, MultiplyCells, MaxPoolDelta, AvgPoolDelta, Spread, Unflatten,
    ToPlain,
)  # fmt: skip
for _number, _operation in enumerate(OPERATIONS):
    _operation.opcode = _number
# Activations that are compiled besides x > 0 ? x : slope * x.
CURVES = "logistic", "loggy", "elu", "selu", "ramp", "tanh", "plse", "lhtan", "hardtan", "stair"


def _names(kind: str) -> tuple[str, ...]:
    found = (field.name for operation in OPERATIONS for field in fields(operation) if field.type == kind)
    return tuple(dict.fromkeys(found))


INTEGERS = ("opcode", *_names("int"))  # columns of the rows of int64
NUMBERS = _names("float")  # and of those of float32
