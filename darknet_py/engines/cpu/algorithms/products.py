"""The products that convolutions and connected layers amount to: what they work on, and their operation."""

from __future__ import annotations

from typing import NamedTuple

from ....layers import Shape
from .. import operations as o
from ..arena import LINE, address, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE, ROWS
from .weights import PackedWeights


class Operands(NamedTuple):
    """What a convolution or connected layer works on, for some number of images.

    Attributes
    ----------
    images : int
    source, target, residual, workspace : int
        Addresses; residual is 0 where there is none.
    source_shape, shape : Shape
        Of one picture.
    slope, final : float
        Slopes of the activations before and after the residual is added.
    curve : int
        What is applied after both: an activation's place in CURVES, from 1; 0 for none.
    threads : int
        How many the operations are made for; the results are the same for any number.
    plain : bool
        Whether the source is in plain layout, not blocked.
    stored : Shape, optional
        Of one picture as it is stored, where each 2 x 2 pixels become one; None where it is stored as it is.
    source_cell, cell : int
        Bytes of LANES channels of a pixel in the source, where that is blocked, and in the target and residual.
    averaged : bool
        Whether the sum of each row of the target, (blocks, images, rows, LANES), is wanted at the workspace's start.
    """

    images: int
    source: int
    target: int
    residual: int
    workspace: int
    source_shape: Shape
    shape: Shape
    slope: float
    final: float
    curve: int = 0
    threads: int = 1
    plain: bool = False
    stored: Shape | None = None
    source_cell: int = BLOCK
    cell: int = BLOCK
    averaged: bool = False

    @property
    def source_plane(self) -> int:
        """Bytes from a block of the source's channels to the next."""
        return self.images * self.source_shape.height * self.source_shape.width * self.source_cell

    @property
    def source_strides(self) -> dict[str, int]:
        """`channel_strides` of the source."""
        return channel_strides(self.source_shape, self.source_cell, self.plain)

    @property
    def plane(self) -> int:
        """Bytes from a block of the target's channels to the next."""
        stored = self.stored or self.shape
        return self.images * stored.height * stored.width * self.cell

    @property
    def halved(self) -> dict[str, int]:
        """Height and width of the pictures that are stored, where they are halved; else zeros."""
        height, width = (0, 0) if self.stored is None else self.stored[1:]
        return dict(halved_height=height, halved_width=width)


def multiply(table: Table, weights: PackedWeights, operands: Operands, image: int = 0, **columns: int) -> None:
    """Add a GEMM for `image`, or for all images from it on; `columns` override the fields that follow from the rest.

    By default there is one batch, and one row of pixels.
    """
    offset = image * operands.shape.height * operands.shape.width * operands.cell
    defaults = dict(
        batches=1,
        a_batch=0,
        c_batch=0,
        bias_batch=0,
        row_count=1,
        a_row=0,
        claim=0,
        early=0,
        early_bytes=0,
        by_pixels=0,
        spans=0,
        kinds=0,
        tap_ranges=0,
        **weights.columns,
        c=operands.target + offset,
        c_plane=operands.plane,
        c_row=operands.shape.width * operands.cell,
        out_cell=operands.cell,
        bias=address(weights.bias),
        residual=operands.residual and operands.residual + offset,
        curve=operands.curve,
    )
    table.add(o.Gemm(slope=operands.slope, final=operands.final, **(defaults | columns)))


def chunk(tiles: int, panels: int) -> int:
    """Tiles per item: many, as they share weights, but few enough that all threads have work."""
    return max(1, min(MACHINE.item_tiles, tiles * panels // MACHINE.items))


def by_pixels(weights: PackedWeights, operands: Operands, tiles: int, panels: int) -> dict[str, int]:
    """The order and size of items: by pixels where these have more bytes than the weights.

    Threads then keep to their part of the picture; otherwise each reads its part of the weights, and all pixels.
    """
    values = operands.images * (operands.source_shape.size + operands.shape.size)
    if weights.data.nbytes > 4 * values:
        return dict(chunk=chunk(tiles, panels))
    parts = max(-(-tiles // MACHINE.item_tiles), -(-MACHINE.items // panels))
    return dict(chunk=-(-tiles // (-(-parts // operands.threads) * operands.threads)), by_pixels=1)


def fetch_early(table: Table) -> None:
    """Let a product of many pixels fetch the weights of the next product, if that has few pixels and would wait.

    Only means may come between the two. The 5 MB of weights after the mean of all pixels took 0.13 ms from memory, and
    0.04 from a cache.
    """
    before: tuple[int, o.Gemm] | None = None
    for number, operation in enumerate(table.operations):
        if isinstance(operation, o.AvgPool):
            continue
        if not isinstance(operation, o.Gemm):
            before = None
            continue
        pixels = operation.row_count * operation.pixels
        if before is not None and pixels < ROWS and operation.b_batch > MACHINE.cached_weights:
            place, many = before
            tiles = many.row_count * -(-many.pixels // ROWS)
            share = -(-operation.b_batch // (many.panels * -(-tiles // many.chunk)))
            early = dict(early=operation.b, early_bytes=round_up(share, LINE))
            table.operations[place] = o.Gemm(**(vars(many) | early))
        adjacent = operation.pixel == operation.cell and not operation.spans and operation.batches == 1
        # While an item's first tile is worked on, the item's own weights are fetched.
        before = (number, operation) if adjacent and operation.chunk > 1 and pixels > ROWS else None


def channel_strides(shape: Shape, cell: int, plain: bool) -> dict[str, int]:
    """Bytes of a cell, and strides of images, of a block's channels, of rows and of pixels, in either layout."""
    if plain:
        cell, pixel, plane = BLOCK, 4, shape.height * shape.width * 4
        image = shape.channels * plane
    else:
        pixel, plane = cell, cell // LANES
        image = shape.height * shape.width * cell
    return dict(cell=cell, a_batch=image, a_plane=plane, a_row=shape.width * pixel, pixel=pixel)
