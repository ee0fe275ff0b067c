"""Winograd's algorithm for larger strides: for each phase of a picture, with stride 1, or for all as channels."""

from __future__ import annotations

from itertools import product

import numpy as np

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..arena import Store
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from .base import matrix_size
from .products import Operands
from .weights import PackedWeights, allocate, blocks
from .winograd import Winograd


class StridedWinograd(Winograd):
    """F(m x m, r x r) of the phases of a picture of many channels, added up before they are transformed back.

    With a window of 3 and a stride of 2 the phases from row 0 on have two rows of weights, those from row 1 on one. At
    infinity only the last of two rows counts: there the latter phases have zeros, which are left out. F(5, 2) takes 121
    products instead of 225 for 5 x 5 outputs.
    """

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"strided_{super().name}"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        few = f"needs at least {LANES} channels" if layer.input_shapes[0].channels < LANES else ""
        return _decline_window(layer, self.r) or few

    def points(self, layer: Convolutional) -> int:
        """See `Winograd`."""
        return (self.n - 1) * layer.stride + self._whole(layer)

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        channels = layer.stride**2 * blocks(layer.input_shapes[0].channels) * LANES
        return self._cycles(channels, layer.shape, (self.points(layer) / super().points(layer)) ** 2)

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        phases = layer.stride**2
        return self.n**2 * phases * matrix_size(layer.filters, layer.input_shapes[0].channels, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        oc, ic, _, _ = weights.shape
        starts, step = self._starts(layer), layer.stride
        packed = allocate(store, bias, oc, self.n**2, len(starts) * blocks(ic), LANES)
        for number, (y, x) in enumerate(starts):
            self._pack(table, packed, weights[:, :, y::step, x::step], factor, number * blocks(ic) * LANES)
        return packed

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        into = layer.stride**2 * blocks(layer.input_shapes[0].channels)
        return self._workspace(images, into, layer.shape, threads)

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        corners = [(y - layer.padding, x - layer.padding) for y, x in self._starts(layer)]
        whole, part = self._whole(layer), layer.stride - self._whole(layer)
        ranges = np.zeros((self.n, self.n, 2), np.int64)  # the first phase, and how many there are
        ranges[:, :, 1] = layer.stride**2
        ranges[0, :, 1] = whole * layer.stride
        ranges[:, 0] = whole * part, whole * layer.stride
        ranges[0, 0, 1] = whole**2
        taps = table.keep(ranges * blocks(operands.source_shape.channels))
        self._lower(table, weights, operands, corners, layer.stride, taps)

    def _whole(self, layer: Convolutional) -> int:
        """How many phases along a side have r rows of weights: they come first."""
        return layer.size - layer.stride * (self.r - 1)

    def _starts(self, layer: Convolutional) -> list[tuple[int, int]]:
        """First rows and columns of phases: those present at the rows' infinity, at both, at the columns', at neither.

        In this order the phases that each position has are neighbours.
        """
        whole, part = range(self._whole(layer)), range(self._whole(layer), layer.stride)
        return [*product(whole, part), *product(whole, whole), *product(part, whole), *product(part, part)]


class PhasesWinograd(Winograd):
    """F(m x m, r x r) of a picture of few channels, whose phases become its channels."""

    plain = True

    @property
    def name(self) -> str:
        """See `Algorithm`."""
        return f"phases_{super().name}"

    def declines(self, layer: Convolutional) -> str:
        """See `Algorithm`."""
        many = f"needs fewer than {LANES} channels" if layer.input_shapes[0].channels >= LANES else ""
        return _decline_window(layer, self.r) or many

    def cycles(self, layer: Convolutional) -> float:
        """See `Algorithm`."""
        source = layer.input_shapes[0]
        return source.size * MACHINE.split_cycles + self._cycles(source.channels * layer.stride**2, layer.shape)

    def reorders(self, layer: Convolutional) -> bool:
        """See `Algorithm`."""
        return True

    def packed_size(self, layer: Convolutional) -> int:
        """See `Algorithm`."""
        return self.n**2 * matrix_size(layer.filters, layer.stride**2 * layer.input_shapes[0].channels, 1)

    def pack(
        self, table: Table, store: Store, layer: Convolutional, weights: Array, factor: Array, bias: Array
    ) -> PackedWeights:
        """See `Algorithm`."""
        return super().pack(table, store, layer, split_phases(weights, layer.stride), factor, bias)

    def workspace(self, layer: Convolutional, images: int, threads: int) -> int:
        """See `Algorithm`."""
        phases = self._phases(layer)
        own = self._workspace(images, blocks(phases.channels), layer.shape, threads)
        return images * _picture_bytes(phases) + own

    def lower(self, table: Table, layer: Convolutional, weights: PackedWeights, operands: Operands) -> None:
        """See `Algorithm`."""
        self._lower(table, weights, self._split(table, layer, operands), [(0, 0)])

    def _phases(self, layer: Convolutional) -> Shape:
        """The shape of the padded picture's phases, as channels."""
        more = self.r - 1
        _, height, width = layer.shape
        return Shape(layer.input_shapes[0].channels * layer.stride**2, height + more, width + more)

    def _split(self, table: Table, layer: Convolutional, operands: Operands) -> Operands:
        """Split padded pictures into phases; return the operands of the convolution that is left."""
        phases = self._phases(layer)
        table.add(
            o.ToPhases(
                a=operands.source,
                **operands.source_strides,
                c=operands.workspace,
                channels=operands.source_shape.channels,
                images=operands.images,
                height=operands.source_shape.height,
                width=operands.source_shape.width,
                padding=layer.padding,
                stride=layer.stride,
                blocks=blocks(phases.channels),
                out_height=phases.height,
                out_width=phases.width,
            )
        )
        workspace = operands.workspace + operands.images * _picture_bytes(phases)
        return operands._replace(source=operands.workspace, source_shape=phases, source_cell=BLOCK, workspace=workspace)


def _decline_window(layer: Convolutional, r: int) -> str:
    """Why a layer's window does not consist of r x r windows, one for each phase; empty where it does."""
    fits = layer.groups == 1 and layer.stride > 1 and -(-layer.size // layer.stride) == r
    return "" if fits else f"needs a stride of which {r} make a window's side, one group"


def split_phases(weights: Array, stride: int) -> Array:
    """Weights (out channels, channels, k, k) for stride 1 over the phases of a picture.

    Phase (y, x) of a picture has every `stride`-th row and column from y and x on; phases come before channels.
    """
    oc, ic, size, _ = weights.shape
    r = -(-size // stride)
    more = (0, r * stride - size)
    whole = np.pad(weights, ((0, 0), (0, 0), more, more)).reshape(oc, ic, r, stride, r, stride)
    return np.ascontiguousarray(whole.transpose(0, 3, 5, 1, 2, 4)).reshape(oc, -1, r, r)


def _picture_bytes(shape: Shape) -> int:
    return blocks(shape.channels) * shape.height * shape.width * BLOCK
