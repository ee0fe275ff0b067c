"""Convolutions as products over blocked pictures, one tap of the window and block of channels after another."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numpy as np

from ....layers import Array
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE, ROWS, UNROLL
from .base import cell_of, matrix_size, product_cycles
from .products import Operands, by_pixels, multiply
from .weights import PackedWeights, allocate, blocks, pack_matrix, pack_panels


class Direct:
    """Any window, over padded pictures."""

    plain = halves = sums_rows = False
    name = "direct"

    def __init__(self, narrow: bool = False) -> None:
        self.narrow = narrow

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        if _pointwise(layer):
            return "needs a larger window, a stride or padding"
        return self._declines(layer)

    def _declines(self, layer: Convolutional) -> str:
        if bundle(layer) is None:
            return f"needs groups that make up whole blocks of {LANES} channels"
        if self.narrow and layer.input_shapes[0].channels < LANES:
            return f"needs at least {LANES} channels in bfloat16"
        return ""

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        source, shape = layer.input_shapes[0], layer.shape
        batches, _ = divide_groups(layer)
        depth = blocks(source.channels // batches) * LANES * layer.size**2
        if layer.size == 1 and not self.narrow:
            depth = round_up(source.channels // batches, _depth(source.channels // batches))
        registers = source.height * source.width * blocks(source.channels)
        padding = MACHINE.pad_cycles * registers if layer.padding or self.narrow else 0
        pixels, filters = shape.height * shape.width, layer.filters // batches
        products = product_cycles(pixels, depth, filters, batches, self.narrow, ahead=_pointwise(layer))
        return padding + products

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return layer.groups > 1

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        batches, _ = divide_groups(layer)
        return batches * matrix_size(layer.filters // batches, layer.input_shapes[0].channels // batches, layer.size**2)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        oc, ic, size, _ = weights.shape
        if layer.groups == 1:
            return pack_matrix(table, store, weights.reshape(oc, ic, size * size), factor, bias)
        batches, together = divide_groups(layer)
        out = oc // batches
        packed = allocate(store, bias, out, batches, blocks(together * ic) * size * size, LANES, batches)
        for batch, dense in enumerate(bundle_weights(layer, weights)):
            start, scale = batch * packed.batch_stride, factor[batch * out : (batch + 1) * out]
            pack_panels(table, packed, dense.reshape(*dense.shape[:2], -1), scale, packed.data[start:])
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        source, (height, width) = layer.input_shapes[0], padded_sides(layer)
        if (height, width) == source[1:]:
            return 0
        return images * blocks(source.channels) * height * width * cell_of(self.narrow)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        source, shape, cell = operands.source_shape, operands.shape, weights.cell
        start, plane = operands.source, operands.source_plane
        height, width = padded_sides(layer)
        padded = (height, width) != source[1:]
        if padded:
            table.add(
                o.Pad(
                    a=start,
                    c=operands.workspace,
                    cell=operands.source_cell,
                    blocks=blocks(source.channels),
                    images=operands.images,
                    height=source.height,
                    width=source.width,
                    padding=layer.padding,
                    out_height=height,
                    out_width=width,
                )
            )
            start, plane = operands.workspace, operands.images * height * width * cell
        batches, _ = divide_groups(layer)
        into, out = blocks(source.channels // batches), blocks(shape.channels // batches)
        side = np.arange(layer.size)
        cells = (side[:, None] * width + side).ravel() * cell
        starts, depth = np.arange(into) * plane, weights.depth
        if layer.size == 1 and not self.narrow:
            depth = _depth(source.channels // batches)
            parts = np.arange(0, LANES, depth) * (cell // LANES)
            starts = (starts[:, None] + parts).ravel()[: -(-source.channels // batches // depth)]
        taps = (starts[:, None] + cells).ravel().astype(np.int64)
        # Rows of a picture, and pictures, are stored one after another: without padding between, they are one long row.
        whole = layer.size == 1 and layer.stride == 1 and not padded
        rows, pixels = (1, operands.images * shape.height * shape.width) if whole else (shape.height, shape.width)
        tiles = rows * -(-pixels // ROWS)
        for image in range(1 if whole else operands.images):
            multiply(
                table,
                weights,
                operands,
                image,
                batches=batches,
                row_count=rows,
                pixels=pixels,
                pixel=layer.stride * cell,
                **by_pixels(weights, operands, tiles, weights.panels * batches),
                a=start + image * height * width * cell,
                a_batch=into * plane,
                a_row=layer.stride * width * cell,
                c_batch=out * operands.plane,
                taps=table.keep(taps),
                tap_count=len(taps),
                depth=depth,
                bias_batch=out * BLOCK,
            )


class Gemm(Direct):
    """A product of pixels and weights: pictures are read in place."""

    name = "gemm_1x1"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        return self._declines(layer) if _pointwise(layer) else "needs a 1 x 1 window, stride 1, no padding"


def _depth(channels: int) -> int:
    """How many channels a tap of a 1 x 1 window spans: fewer than `LANES` where otherwise many would be past the last.

    The micro-kernel takes `UNROLL` at a time. 24 channels, 8 to a tap, took 0.8 of the time of 32; where less than an
    eighth is saved, that is not worth so many taps.
    """
    depth = gcd(round_up(channels, UNROLL), LANES)
    return depth if 8 * round_up(channels, LANES) >= 9 * round_up(channels, depth) else LANES


def _pointwise(layer: Convolutional) -> bool:
    return (layer.size, layer.padding, layer.stride) == (1, 0, 1)


def bundle(layer: Convolutional) -> int | None:
    """How many groups go together in one product, so that its channels fill whole blocks; None if no number does.

    Weights between channels of different groups are zeros there.
    """
    into, out = layer.input_shapes[0].channels // layer.groups, layer.filters // layer.groups
    together = max(1, LANES // into)
    fits = together * into % LANES == 0 and together * out % LANES == 0 and layer.groups % together == 0
    return 1 if layer.groups == 1 else together if fits else None


def divide_groups(layer: Convolutional) -> tuple[int, int]:
    """How many products compute a convolution that was not declined, and how many groups go together in each."""
    together = bundle(layer)
    assert together is not None
    return layer.groups // together, together


def bundle_weights(layer: Convolutional, weights: Array) -> Iterator[Array]:
    """The weights of each product that computes a convolution: (filters, channels, size, size)."""
    batches, together = divide_groups(layer)
    oc, ic, *window = weights.shape
    out = oc // layer.groups
    for groups in weights.reshape(batches, together, out, ic, *window):
        dense = np.zeros((together, out, together, ic, *window), np.float32)
        for number, group in enumerate(groups):
            dense[number, :, number] = group
        yield dense.reshape(together * out, together * ic, *window)


def padded_sides(layer: Convolutional) -> tuple[int, int]:
    """Height and width of the padded input."""
    (above, below), (left, right) = layer.edges
    _, height, width = layer.input_shapes[0]
    return above + height + below, left + width + right
