"""Convolutions and connected layers in training: their products, and the gradients of both factors."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ....layers import Array, Layer, Shape
from ....layers.connected import Connected
from ....layers.convolutional import Convolutional
from .. import operations as o
from .. import table as t
from ..algorithms import Operands, PackedWeights, choose
from ..algorithms.base import AnyAlgorithm
from ..algorithms.gemm import bundle, padded_sides
from ..algorithms.products import multiply
from ..algorithms.weights import allocate, blocks, pack_panels
from ..arena import LINE, Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, LANES, MACHINE
from ..team import Team
from .values import Calls, Value

REORDERED = 1 << 16  # weights from which on NumPy had better not put them into another order before each step
CACHED = 128 << 10  # bytes of rows of pixels that are gone through for all taps of a window
PARTIAL = 8 << 20  # bytes of sums of parts of the pictures


def mirror(layer: Convolutional) -> Convolutional:
    """The convolution that gives the delta of a convolution's input, of its own delta, cells `layer.stride` apart.

    Its weights are those of `layer`, windows turned round, filters and channels exchanged.
    """
    source = layer.input_shapes[0]
    mirrored = copy(layer)
    mirrored.filters, mirrored.pad = source.channels, False
    mirrored.stride = mirrored.stride_x = mirrored.stride_y = 1
    mirrored.padding = layer.size - 1 - layer.padding
    mirrored.batch_normalize, mirrored.activation = False, "linear"
    more = 2 * layer.padding - layer.size + 1
    mirrored.input_shapes = (Shape(layer.filters, source.height + more, source.width + more),)
    mirrored.shape = mirrored.sharp = source
    return mirrored


def mirror_weights(layer: Convolutional, weights: Array) -> Array:
    """Weights (filters, channels of a group, size, size) as those of `mirror(layer)`; a view, for one group."""
    size = weights.shape[1:]
    grouped = weights.reshape(layer.groups, -1, *size)[..., ::-1, ::-1].swapaxes(1, 2)
    return grouped[0] if layer.groups == 1 else grouped.reshape(-1, *grouped.shape[2:])


def pick(layer: Layer, weights: int) -> AnyAlgorithm | None:
    """The algorithm for `layer` in training, where weights are packed before each step; None where there is none."""
    found = [choice.algorithm for choice in choose(layer) if choice.algorithm is not None and not choice.reason]
    quick = (algorithm for algorithm in found if weights <= REORDERED or not algorithm.reorders(layer))
    return next(quick, found[0] if found else None)


def no_kernel(layer: Layer) -> str:
    """Why no compiled code trains a layer that multiplies; empty where some does."""
    if isinstance(layer, Connected):
        return "" if layer.input_shapes[0].size % LANES == 0 else f"{layer.input_shapes[0].size} inputs fill no blocks"
    assert isinstance(layer, Convolutional)
    if layer.padding >= layer.size:
        return "its padding is as wide as its window"
    if any(side + 2 * layer.padding < layer.size for side in layer.input_shapes[0][1:]):
        return "its window is larger than the picture"
    if bundle(layer) is None:
        return f"its groups make up no whole blocks of {LANES} channels"
    weights = layer.taken["weights"].size
    if pick(layer, weights) is None or pick(mirror(layer), weights) is None:
        return "no algorithm takes it"
    return ""


class Packer:
    """Brings weights into an algorithm's order, anew before each step."""

    def __init__(self, store: Store, calls: Calls, team: Team) -> None:
        self.store, self.calls, self.team = store, calls, team

    def pack(
        self, layer: Layer, algorithm: AnyAlgorithm, weights: Callable[[], Array], source: Array, biases: Array
    ) -> PackedWeights:
        """What `weights` gives, made of `source`, packed for `layer`, and `biases`."""
        ones = np.ones(len(biases), np.float32)
        if not algorithm.reorders(layer) and np.may_share_memory(weights(), source):
            packed = algorithm.pack(self.calls.table, self.store, layer, weights(), ones, biases)
            self.follow(packed.bias, biases)
            return packed

        def make(store: Store) -> PackedWeights:
            table = Table()
            packed = algorithm.pack(table, store, layer, weights(), ones, biases)
            table.freeze()
            table.run(self.team)
            return packed

        kept = make(self.store)

        def renew() -> None:
            fresh = make(Store())
            np.copyto(kept.data, fresh.data)
            np.copyto(kept.bias, fresh.bias)

        self.calls.then(renew)
        return kept

    def follow(self, target: Array, source: Array) -> None:
        """Copy `source` to the start of `target` before each step."""
        self.calls.then(lambda: np.copyto(target[: len(source)], source))


class Workspace:
    """Memory that operations need only until the next layer's."""

    def __init__(self, store: Store) -> None:
        self._store, self._memory = store, store.take(0)

    def reserve(self, size: int) -> int:
        """The address of `size` bytes."""
        if size > self._memory.size:
            self._memory = self._store.take(size)
        return address(self._memory)


@dataclass
class Products:
    """What the products of a mini-batch share.

    Attributes
    ----------
    store : Store
    workspace : Workspace
    packer : Packer
    images, threads : int
    """

    store: Store
    workspace: Workspace
    packer: Packer
    images: int
    threads: int

    def _operands(
        self, source: int, target: int, residual: int, shapes: tuple[Shape, Shape], workspace: int
    ) -> Operands:
        return Operands(
            images=self.images,
            source=source,
            target=target,
            residual=residual,
            workspace=workspace,
            source_shape=shapes[0],
            shape=shapes[1],
            slope=1,
            final=1,
            threads=self.threads,
        )

    def forward(self, calls: Calls, layer: Layer, weights: Array, biases: Array, source: Value, target: Value) -> None:
        """The layer's sums, and `biases`."""
        algorithm = pick(layer, weights.size)
        assert algorithm is not None
        packed = self.packer.pack(layer, algorithm, lambda: weights, weights, biases)
        plain = algorithm.plain and source.is_plain
        start = address(source.plain(calls)) if plain else source.blocked(calls)
        workspace = self.workspace.reserve(algorithm.workspace(layer, self.images, self.threads))
        operands = self._operands(start, target.make_blocked(), 0, (source.shape, layer.shape), workspace)
        algorithm.lower(calls.table, layer, packed, replace(operands, plain=plain))

    def convolve_back(self, calls: Calls, layer: Convolutional, weights: Array, delta: Value, target: Value) -> None:
        """Add the delta of a convolution's input, of that of its sums."""
        mirrored = mirror(layer)
        algorithm = pick(mirrored, weights.size)
        assert algorithm is not None
        none = np.zeros(mirrored.filters, np.float32)
        packed = self.packer.pack(mirrored, algorithm, lambda: mirror_weights(layer, weights), weights, none)
        shape = mirrored.input_shapes[0]
        apart = 0
        if layer.stride > 1:
            apart = round_up(delta.blocks * self.images * shape.height * shape.width * BLOCK, LINE)
        workspace = self.workspace.reserve(apart + algorithm.workspace(mirrored, self.images, self.threads))
        start = delta.blocked(calls)
        if layer.stride > 1:
            calls.add(
                o.Spread(
                    a=start,
                    c=workspace,
                    blocks=delta.blocks,
                    images=self.images,
                    height=delta.shape.height,
                    width=delta.shape.width,
                    stride=layer.stride,
                    out_height=shape.height,
                    out_width=shape.width,
                )
            )
            start = workspace
        goal = target.make_blocked()
        operands = self._operands(start, goal, goal * target.filled, (shape, mirrored.shape), workspace + apart)
        algorithm.lower(calls.table, mirrored, packed, operands)
        target.filled = True

    def multiply_back(self, calls: Calls, layer: Connected, weights: Array, delta: Value, target: Value) -> None:
        """Add the delta of a connected layer's input, of that of its sums."""
        channels, cells = target.shape.channels, target.cells
        none = np.zeros(channels, np.float32)
        packed = allocate(self.store, none, channels, cells, delta.blocks, LANES)
        calls.table.keep(packed.bias)
        for cell in range(cells):  # a product of its own, as a batch
            matrix = weights[:, cell::cells].T[:, :, None]
            ones = np.ones(channels, np.float32)
            pack_panels(self.packer.calls.table, packed, matrix, ones, packed.data[cell * packed.batch_stride :])
        goal = target.make_blocked()
        place, residual = goal, goal * target.filled
        if cells > 1:
            place, residual = self.workspace.reserve(target.blocks * target.plane), 0
        operands = self._operands(delta.blocked(calls), place, residual, (delta.shape, target.shape), 0)
        taps = calls.table.keep(np.arange(delta.blocks, dtype=np.int64) * delta.plane)
        multiply(
            calls.table,
            packed,
            operands,
            batches=cells,
            pixels=self.images,
            pixel=BLOCK,
            chunk=1,
            a=delta.blocked(calls),
            taps=taps,
            c_batch=self.images * BLOCK,
            c_plane=target.plane,
        )
        if cells > 1:
            added = dict(blocks=target.blocks, cells=cells, images=self.images)
            calls.add(o.Unflatten(a=place, c=goal, clear=not target.filled, **added))
        target.filled = True

    def add_weights(self, calls: Calls, layer: Layer, gradient: Array, source: Value, delta: Value) -> None:
        """Add the gradient of a layer's weights."""
        if isinstance(layer, Connected):
            self._add_matrix(calls, gradient, source, delta)
        elif isinstance(layer, Convolutional) and source.is_plain and source.shape.channels < LANES:
            self._add_pixels(calls, layer, gradient, source, delta)
        elif isinstance(layer, Convolutional):
            self._add_blocks(calls, layer, gradient, source, delta)

    def _add_matrix(self, calls: Calls, gradient: Array, source: Value, delta: Value) -> None:
        """As they lie in the file: a row for each output, images for pixels."""
        inputs = source.shape.size
        if source.cells == 1:
            of_source = dict(b=source.blocked(calls), b_plane=source.plane, b_pixel=BLOCK)
        else:
            of_source = dict(b=address(source.plain(calls)), b_plane=BLOCK, b_pixel=4 * inputs)
        calls.add(
            o.SumProducts(
                images=1,
                parts=1,
                part_bytes=0,
                blocks=delta.blocks,
                depth=LANES,
                row_count=delta.shape.channels,
                out_blocks=inputs // LANES,
                out_height=1,
                out_width=self.images,
                chunk=1,
                taps=calls.table.keep(np.zeros(1, np.int64)),
                tap_count=1,
                a=delta.blocked(calls),
                a_batch=0,
                a_plane=delta.plane,
                a_row=0,
                pixel=BLOCK,
                **of_source,
                b_batch=0,
                b_row=0,
                c=address(gradient),
                c_batch=0,
                c_row=4 * inputs,
                clear=0,
            )
        )

    def _add_pixels(self, calls: Calls, layer: Convolutional, gradient: Array, source: Value, delta: Value) -> None:
        """Of a picture of few channels: a tap is a row of the window, whose columns and channels lie side by side."""
        channels, (height, width) = source.shape.channels, padded_sides(layer)
        row = width * channels * 4
        copied = round_up(self.images * height * row, LINE)
        sums = _Sums(self.images, layer.size, 1, layer.size * channels, delta.blocks)
        workspace = self.workspace.reserve(copied + sums.bytes)
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
        """Tap by tap of the window, over blocked pictures with their edges; groups that share blocks together."""
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
        workspace = self.workspace.reserve(copied + sums.bytes)
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
        Blocks and rows are the input's, `columns` registers the delta's.
    """

    images: int
    taps: int
    blocks: int
    rows: int
    columns: int

    @property
    def parts(self) -> int:
        """So many that there are items for many threads, and their sums take little memory."""
        items = -(-self.columns // t.GROUP) * self.blocks
        return max(1, min(self.images, -(-MACHINE.items // items), PARTIAL // self._part))

    @property
    def _part(self) -> int:
        return self.taps * self.rows * self.columns * BLOCK

    @property
    def bytes(self) -> int:
        """Of memory; the last register may be read past its end."""
        return self.parts * self._part + BLOCK

    def add(
        self, calls: Calls, shape: Shape, of_source: dict[str, int], taps: npt.NDArray[np.int64], delta: int,
        plane: int, place: int,
    ) -> None:  # fmt: skip
        """Sum up, at `place`; deltas are of `shape`, and `plane` bytes between their blocks."""
        row = min(self.columns, t.GROUP) * shape.width * BLOCK + of_source["a_row"]
        calls.add(
            o.SumProducts(
                images=self.images,
                parts=self.parts,
                part_bytes=self._part,
                blocks=self.blocks,
                row_count=self.rows,
                out_blocks=self.columns,
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
