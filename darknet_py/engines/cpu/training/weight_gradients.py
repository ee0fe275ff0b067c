"""The gradients of convolutions' weights: inputs times the deltas of sums, summed over pixels and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....layers import Array, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from .. import table as t
from ..algorithms.gemm import bundle, padded_sides
from ..algorithms.weights import blocks
from ..arena import LINE, address, round_up
from ..isa import BLOCK, LANES, MACHINE
from .buffers import Buffers
from .calls import Calls
from .values import Value

if TYPE_CHECKING:
    import numpy.typing as npt

CACHED = 128 << 10  # bytes of rows of pixels that are gone through for all taps of a window before the next rows
PARTIAL = 8 << 20  # the most bytes of sums over parts of the pictures


@dataclass
class WeightGradients:
    """Computes them.

    Attributes
    ----------
    buffers : Buffers
    images : int
    """

    buffers: Buffers
    images: int

    def add(self, calls: Calls, layer: Convolutional, gradient: Array, source: Value, delta: Value) -> str:
        """Add the gradient of a layer's weights; return the name of the implementation."""
        if source.is_plain and source.shape.channels < LANES:
            self._add_pixels(calls, layer, gradient, source, delta)
            return "sum_pixels"
        self._add_blocks(calls, layer, gradient, source, delta)
        return "sum_blocks"

    def _add_pixels(self, calls: Calls, layer: Convolutional, gradient: Array, source: Value, delta: Value) -> None:
        """For a picture of few channels: a tap is a row of the window, whose columns and channels are adjacent."""
        channels, (height, width) = source.shape.channels, padded_sides(layer)
        row = width * channels * 4
        copied = round_up(self.images * height * row, LINE)
        sums = _Sums(self.images, layer.size, 1, layer.size * channels, delta.blocks)
        workspace = address(self.buffers.take(copied + sums.bytes))
        plain = source.make_plain()
        calls.add(
            o.ToPixels(
                a=address(plain),
                a_batch=plain.strides[0],
                a_plane=plain.strides[1],
                a_row=plain.strides[2],
                pixel=4,
                cell=BLOCK,
                c=workspace,
                channels=channels,
                images=self.images,
                height=source.shape.height,
                width=source.shape.width,
                padding=layer.padding,
                out_height=height,
                out_width=width,
            )
        )
        of_source = dict(
            a=workspace,
            a_batch=height * row,
            a_plane=0,
            a_row=layer.stride * row,
            pixel=layer.stride * channels * 4,
            depth=layer.size * channels,
        )
        taps = np.arange(layer.size, dtype=np.int64) * row
        sums.add(calls, delta.shape, of_source, taps, delta.blocked(calls), delta.plane, workspace + copied)
        oc, ic, size, _ = gradient.shape
        strides = dict(filter_stride=ic * size * size * 4, channel_stride=size * size * 4, row_stride=4)
        sums.finish(
            calls, workspace + copied, 0, 0, sums.rows, oc, gradient, channels=ic, tap_stride=size * 4, **strides
        )

    def _add_blocks(self, calls: Calls, layer: Convolutional, gradient: Array, source: Value, delta: Value) -> None:
        """Tap by tap of the window, over padded blocked pictures; groups that share blocks are summed together."""
        (height, width), shape = padded_sides(layer), source.shape
        together = bundle(layer)
        assert together is not None
        bundles = layer.groups // together
        into, out = source.blocks // bundles if bundles > 1 else source.blocks, delta.blocks // bundles
        channels, filters = shape.channels // layer.groups, layer.filters // layer.groups
        start, plane, copied = source.blocked(calls), source.plane, 0
        sums = _Sums(self.images, layer.size**2, into, together * channels, out)
        if (height, width) != shape[1:]:
            plane = self.images * height * width * BLOCK
            copied = source.blocks * plane
        workspace = address(self.buffers.take(copied + sums.bytes))
        if copied:
            calls.add(
                o.Pad(
                    a=start,
                    c=workspace,
                    cell=BLOCK,
                    blocks=source.blocks,
                    images=self.images,
                    height=shape.height,
                    width=shape.width,
                    padding=layer.padding,
                    out_height=height,
                    out_width=width,
                )
            )
            start = workspace
        side = np.arange(layer.size)
        taps = (side[:, None] * width + side).ravel().astype(np.int64) * BLOCK
        strides = dict(filter_stride=channels * taps.size * 4, channel_stride=taps.size * 4, row_stride=0, tap_stride=4)
        for number in range(bundles):
            of_source = dict(
                a=start + number * into * plane,
                a_batch=height * width * BLOCK,
                a_plane=plane,
                a_row=layer.stride * width * BLOCK,
                pixel=layer.stride * BLOCK,
                depth=min(LANES, sums.rows),
            )
            deltas = delta.blocked(calls) + number * out * delta.plane
            sums.add(calls, delta.shape, of_source, taps, deltas, delta.plane, workspace + copied)
            for place in range(together):
                group = number * together + place
                of_group = gradient[group * filters : (group + 1) * filters]
                sums.finish(
                    calls, workspace + copied, place * channels, place * filters, channels, filters, of_group,
                    channels=channels, **strides,
                )  # fmt: skip


@dataclass(frozen=True)
class _Sums:
    """Sums of products, [part of the pictures][tap][row][register].

    Attributes
    ----------
    images, taps, blocks, rows, columns : int
        Blocks and rows are the input's, columns are registers of the delta.
    """

    images: int
    taps: int
    blocks: int
    rows: int
    columns: int

    @property
    def parts(self) -> int:
        """How many parts there are: enough items for many threads, but sums that take little memory."""
        items = -(-self.columns // t.GROUP) * self.blocks
        return max(1, min(self.images, -(-MACHINE.items // items), PARTIAL // self._part))

    @property
    def _part(self) -> int:
        return self.taps * self.rows * self.columns * BLOCK

    @property
    def bytes(self) -> int:
        """Bytes of memory, with a register to spare: the last may be read past its end."""
        return self.parts * self._part + BLOCK

    def add(
        self, calls: Calls, shape: Shape, of_source: dict[str, int], taps: npt.NDArray[np.int64], delta: int,
        plane: int, place: int,
    ) -> None:  # fmt: skip
        """Add the summing up, at `place`; deltas are of `shape`, with `plane` bytes between their blocks."""
        row = min(self.columns, t.GROUP) * shape.width * BLOCK + of_source["a_row"]
        calls.add(
            o.SumProducts(
                images=self.images,
                parts=self.parts,
                part_bytes=self._part,
                blocks=self.blocks,
                row_count=self.rows,
                out_blocks=self.columns,
                groups=1,
                out_height=shape.height,
                out_width=shape.width,
                chunk=max(1, CACHED // row),
                taps=calls.table.keep(taps),
                tap_count=self.taps,
                **of_source,
                b=delta,
                b_batch=shape.height * shape.width * BLOCK,
                b_plane=plane,
                b_row=shape.width * BLOCK,
                b_pixel=BLOCK,
                c=place,
                c_batch=self.rows * self.columns * BLOCK,
                c_row=self.columns * BLOCK,
                clear=1,
            )
        )

    def finish(
        self, calls: Calls, place: int, row: int, lane: int, rows: int, lanes: int, gradient: Array, **strides: int
    ) -> None:
        """Add `rows` from `row` on, of `lanes` output channels from `lane` on, to `gradient`."""
        calls.add(
            o.AddGradients(
                a=place + row * self.columns * BLOCK + lane * 4,
                a_batch=self.rows * self.columns * BLOCK,
                a_row=self.columns * BLOCK,
                parts=self.parts,
                part_bytes=self._part,
                row_count=rows,
                out_blocks=blocks(lanes),
                out_channels=lanes,
                tap_count=self.taps,
                c=address(gradient),
                **strides,
            )
        )
