"""A layer's weights in the order in which the micro-kernel reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....layers import Array
from .. import operations as o
from ..arena import Store, address
from ..builder import Table
from ..isa import BLOCK, COLUMNS, HALF, LANES

if TYPE_CHECKING:
    import numpy.typing as npt


def blocks(channels: int) -> int:
    """How many registers hold `channels`."""
    return -(-channels // LANES)


class PackedWeights(NamedTuple):
    """A layer's weights in the micro-kernel's order, [batch][panel][tap][depth][columns][LANES], and its biases.

    Strides are in bytes, and so is `cell`, the size of the LANES channels of a pixel that are multiplied by them.
    """

    data: npt.NDArray[np.uint8]
    bias: Array
    panels: int
    last_columns: int
    panel_stride: int
    batch_stride: int
    depth: int
    taps: int
    cell: int = BLOCK

    @property
    def columns(self) -> dict[str, int]:
        """The fields that describe them to an operation."""
        return dict(
            b=address(self.data),
            b_batch=self.batch_stride,
            b_panel=self.panel_stride,
            panels=self.panels,
            last_columns=self.last_columns,
            tap_count=self.taps,
            depth=self.depth,
            cell=self.cell,
        )

    def narrow(self, store: Store) -> PackedWeights:
        """The same in bfloat16, two channels to a lane."""
        data = store.take(self.data.size // 2)
        for start, columns in self._panels():
            size = self.taps * self.depth * columns * BLOCK
            rows = round_to_bfloat16(self.data[start : start + size].view(np.uint32)).reshape(-1, 2, columns * LANES)
            pairs = data[start // 2 : (start + size) // 2].view(np.uint32).reshape(-1, columns * LANES)
            np.bitwise_or(rows[:, 0] >> 16, rows[:, 1], out=pairs)
        return self._replace(
            data=data,
            panel_stride=self.panel_stride // 2,
            batch_stride=self.batch_stride // 2,
            depth=self.depth // 2,
            cell=HALF,
        )

    def _panels(self) -> Iterator[tuple[int, int]]:
        """Where each panel starts, and how many columns it has."""
        for batch in range(self.data.size // self.batch_stride):
            for panel in range(self.panels):
                columns = self.last_columns if panel == self.panels - 1 else COLUMNS
                yield batch * self.batch_stride + panel * self.panel_stride, columns


def round_to_bfloat16(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Bits of float32, rounded to the nearest bfloat16, ties to even; the lower half is zero."""
    return (bits + ((bits >> 16) & 1) + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)


def allocate(
    store: Store, bias: Array, out_channels: int, batches: int, taps: int, depth: int, bundles: int = 1
) -> PackedWeights:
    """Memory for weights of `batches` products, each of `out_channels`, and the biases of `bundles` of them."""
    columns = blocks(out_channels)
    panels = -(-columns // COLUMNS)
    panel_stride = taps * depth * COLUMNS * BLOCK
    batch_stride = taps * depth * columns * BLOCK
    padded = np.zeros(bundles * columns * LANES, np.float32)
    padded[: len(bias)] = bias
    data = store.take(batches * batch_stride)
    last = columns - (panels - 1) * COLUMNS
    return PackedWeights(data, padded, panels, last, panel_stride, batch_stride, depth, taps)


def pack_matrix(table: Table, store: Store, weights: Array, factor: Array, bias: Array) -> PackedWeights:
    """Weights (out channels, channels, taps) for products over blocks of channels and taps."""
    out_channels, channels, taps = weights.shape
    packed = allocate(store, bias, out_channels, 1, blocks(channels) * taps, LANES)
    pack_panels(table, packed, weights, factor, packed.data)
    return packed


def pack_panels(
    table: Table, packed: PackedWeights, weights: Array, factor: Array, target: npt.NDArray[np.uint8]
) -> None:
    """Let `table` pack `weights` (out channels, channels, taps), times `factor`, at `target`."""
    out_channels, channels, taps = weights.shape
    table.add(
        o.Pack(
            weights=table.keep(weights),
            filter_stride=weights.strides[0],
            channel_stride=weights.strides[1],
            tap_stride=weights.strides[2],
            b=address(target),
            b_panel=packed.panel_stride,
            panels=packed.panels,
            last_columns=packed.last_columns,
            channels=channels,
            out_channels=out_channels,
            tap_count=taps,
            factor=table.keep(np.ascontiguousarray(factor)),
        )
    )
