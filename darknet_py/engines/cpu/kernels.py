"""Kernels in the order in which the micro-kernel reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...layers import Array
from ...layers.convolutional import Convolutional
from . import table as t
from .arena import Store, address, round_up
from .builder import Table
from .isa import BLOCK, COLUMNS, HALF, LANES, UNROLL
from .select import Choice, bundle

# Of Winograd's F(m, r), by n = m + r - 1: interpolation points but the last, which is infinity, and what a kernel's
# value there is scaled by.
POINTS = {
    4: ((0, 1), (1, 1 / 2), (-1, 1 / 2)),
    # The error of F(4, 3) in bfloat16 is 0.011 of an output's spread, for 0.029 with 1 and 2 instead of 2/3 and 3/2.
    6: ((0, 1), (2 / 3, -81 / 130), (-2 / 3, -81 / 130), (3 / 2, 8 / 65), (-3 / 2, 8 / 65)),
    8: ((0, 1), (1, -2 / 9), (-1, -2 / 9), (2, 1 / 90), (-2, 1 / 90), (1 / 2, 1 / 45), (-1 / 2, 1 / 45)),
}


def kernel_transform(m: int, r: int) -> npt.NDArray[np.float32]:
    """G of F(m, r), (m + r - 1) x r: the 1-d transform of kernels."""
    rows = [[scale * point**power for power in range(r)] for point, scale in POINTS[m + r - 1]]
    return np.array([*rows, [0] * (r - 1) + [1]], np.float32)


def blocks(channels: int) -> int:
    """How many registers hold `channels`."""
    return -(-channels // LANES)


@dataclass(frozen=True)
class Kernels:
    """A layer's kernels in the micro-kernel's order, [batch][panel][tap][depth][columns][LANES], and its biases.

    Strides are in bytes; `cell` is what those LANES channels of a pixel take that are multiplied by them.
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
        """What an operation that multiplies by them is told."""
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

    def narrow(self, store: Store) -> Kernels:
        """The same in bfloat16, two channels to a lane."""
        data = store.take(self.data.size // 2)
        for start, columns in self._panels():
            size = self.taps * self.depth * columns * BLOCK
            rows = round_to_bfloat16(self.data[start : start + size].view(np.uint32)).reshape(-1, 2, columns * LANES)
            pairs = data[start // 2 : (start + size) // 2].view(np.uint32).reshape(-1, columns * LANES)
            np.bitwise_or(rows[:, 0] >> 16, rows[:, 1], out=pairs)
        return replace(
            self,
            data=data,
            panel_stride=self.panel_stride // 2,
            batch_stride=self.batch_stride // 2,
            depth=self.depth // 2,
            cell=HALF,
        )

    def _panels(self) -> Iterator[tuple[int, int]]:
        """Where each panel starts, and its columns."""
        for batch in range(self.data.size // self.batch_stride):
            for panel in range(self.panels):
                columns = self.last_columns if panel == self.panels - 1 else COLUMNS
                yield batch * self.batch_stride + panel * self.panel_stride, columns


def round_to_bfloat16(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Bits of float32, rounded to the nearest that bfloat16 has, of two the even one; the lower half is zero."""
    return (bits + ((bits >> 16) & 1) + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)


def _allocate(
    store: Store, bias: Array, out_channels: int, batches: int, taps: int, depth: int, bundles: int = 1
) -> Kernels:
    columns = blocks(out_channels)
    panels = -(-columns // COLUMNS)
    panel_stride = taps * depth * COLUMNS * BLOCK
    batch_stride = taps * depth * columns * BLOCK
    padded = np.zeros(bundles * columns * LANES, np.float32)
    padded[: len(bias)] = bias
    data = store.take(batches * batch_stride)
    last = columns - (panels - 1) * COLUMNS
    return Kernels(data, padded, panels, last, panel_stride, batch_stride, depth, taps)


def pack_matrix(table: Table, store: Store, kernels: Array, factor: Array, bias: Array) -> Kernels:
    """Kernels (out channels, channels, taps) for products over blocks of channels and taps."""
    out_channels, channels, taps = kernels.shape
    packed = _allocate(store, bias, out_channels, 1, blocks(channels) * taps, LANES)
    _pack(table, packed, kernels, factor, packed.data)
    return packed


def pack_kernels(
    table: Table, store: Store, choice: Choice, layer: Convolutional, kernels: Array, factor: Array, bias: Array
) -> Kernels:
    """The kernels of a convolution in the order that `choice` wants; the work is done when `table` has run."""
    oc, ic, size, _ = kernels.shape
    if choice.tile:
        kernels = split_phases(kernels, layer.stride)
        return _pack_winograd(table, store, choice.tile, kernels, factor, bias)
    if choice.name == "direct_pixels":
        return _pack_pixels(store, kernels, factor, bias)
    if choice.name == "strassen_1x1":
        return _pack_quarters(table, store, kernels.reshape(oc, ic), factor, bias)
    together = bundle(layer)
    assert together is not None
    if layer.groups == 1:
        return pack_matrix(table, store, kernels.reshape(oc, ic, size * size), factor, bias)
    batches, out, into = layer.groups // together, oc // layer.groups, together * ic
    packed = _allocate(store, bias, together * out, batches, blocks(into) * size * size, LANES, batches)
    for batch in range(batches):
        dense = np.zeros((together * out, into, size * size), np.float32)
        first = batch * together * out
        for group in range(together):
            rows = slice(group * out, (group + 1) * out)
            source = kernels[first + group * out : first + (group + 1) * out]
            dense[rows, group * ic : (group + 1) * ic] = source.reshape(out, ic, -1)
        start = batch * packed.batch_stride
        _pack(table, packed, dense, factor[first : first + together * out], packed.data[start:])
    return packed


def _pack(table: Table, packed: Kernels, kernels: Array, factor: Array, target: npt.NDArray[np.uint8]) -> None:
    out_channels, channels, taps = kernels.shape
    table.add(
        t.PACK,
        a=table.keep(kernels),
        a_batch=kernels.strides[0],
        a_plane=kernels.strides[1],
        a_row=kernels.strides[2],
        b=address(target),
        b_panel=packed.panel_stride,
        panels=packed.panels,
        last_columns=packed.last_columns,
        channels=channels,
        out_channels=out_channels,
        size=taps,
        residual=table.keep(np.ascontiguousarray(factor)),
    )


def split_phases(kernels: Array, stride: int) -> Array:
    """Kernels (out channels, channels, k, k) as those of stride 1 for the phases of a picture.

    Phase (y, x) of a picture has every `stride`-th row and column from y and x on; phases come before channels.
    """
    oc, ic, size, _ = kernels.shape
    r = -(-size // stride)
    more = (0, r * stride - size)
    whole = np.pad(kernels, ((0, 0), (0, 0), more, more)).reshape(oc, ic, r, stride, r, stride)
    return np.ascontiguousarray(whole.transpose(0, 3, 5, 1, 2, 4)).reshape(oc, -1, r, r)


def _pack_quarters(table: Table, store: Store, kernels: Array, factor: Array, bias: Array) -> Kernels:
    """The second factors of Strassen's products, the first of which are A11, A12, A22, S1, S2, S3, S4."""
    oc, ic = kernels.shape
    scaled = kernels * factor.reshape(-1, 1)
    b11, b21 = scaled[: oc // 2, : ic // 2], scaled[: oc // 2, ic // 2 :]
    b12, b22 = scaled[oc // 2 :, : ic // 2], scaled[oc // 2 :, ic // 2 :]
    t1 = b12 - b11
    t2 = b22 - t1
    products = np.stack((b11, b21, t2 - b21, t1, t2, b22 - b12, b22))
    bias1, bias2 = bias[: oc // 2], bias[oc // 2 :]
    none = np.zeros_like(bias1)
    biases = np.stack((none, bias1, -bias1, bias2, none, none, none))  # both halves get theirs once, above and below
    # A panel of all seven, then the next: what becomes of their products is added up while it is in the first cache.
    panels = products.reshape(7, -1, COLUMNS * LANES, ic // 2).swapaxes(0, 1).reshape(-1, ic // 2, 1)
    ones = np.ones(len(panels), np.float32)
    return pack_matrix(table, store, panels, ones, biases.reshape(7, -1, COLUMNS * LANES).swapaxes(0, 1).ravel())


def _pack_winograd(table: Table, store: Store, m: int, kernels: Array, factor: Array, bias: Array) -> Kernels:
    oc, ic, r, _ = kernels.shape
    packed = _allocate(store, bias, oc, (m + r - 1) ** 2, blocks(ic), LANES)
    table.add(
        t.PACK_WINOGRAD,
        a=table.keep(np.ascontiguousarray(kernels)),
        b=address(packed.data),
        b_panel=packed.panel_stride,
        b_batch=packed.batch_stride,
        panels=packed.panels,
        last_columns=packed.last_columns,
        channels=ic,
        out_channels=oc,
        in_tile=m + r - 1,
        size=r,
        residual=table.keep(np.ascontiguousarray(factor)),
        taps=table.keep(kernel_transform(m, r)),
    )
    return packed


def _pack_pixels(store: Store, kernels: Array, factor: Array, bias: Array) -> Kernels:
    """A tap is a row of the kernel: its columns and channels lie together in unblocked pictures."""
    oc, ic, size, _ = kernels.shape
    depth = round_up(size * ic, UNROLL)
    packed = _allocate(store, bias, oc, 1, size, depth)
    rows = np.zeros((blocks(oc) * LANES, size, depth), np.float32)
    rows[:oc, :, : size * ic] = (kernels * factor.reshape(-1, 1, 1, 1)).transpose(0, 2, 3, 1).reshape(oc, size, -1)
    for panel in range(packed.panels):
        first = panel * COLUMNS * LANES
        part = rows[first : first + COLUMNS * LANES].transpose(1, 2, 0)
        data = packed.data[panel * packed.panel_stride :].view(np.float32)
        data[: part.size] = part.ravel()
    return packed
