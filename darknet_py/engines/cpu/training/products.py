"""Convolutions in training: their sums, and the deltas of their inputs."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....layers import Array, Layer, Shape
from ....layers.convolutional import Convolutional
from .. import operations as o
from ..algorithms import Operands, PackedWeights, choose
from ..algorithms.base import AnyAlgorithm
from ..algorithms.gemm import bundle
from ..arena import LINE, Store, address, round_up
from ..builder import Table
from ..isa import BLOCK, ISA, LANES
from ..team import team_of
from .buffers import Buffers
from .calls import Calls
from .values import Value

if TYPE_CHECKING:
    import numpy.typing as npt

REORDERED = 1 << 16  # the most weights that NumPy puts into another order before each step, if that can be avoided


def mirror(layer: Convolutional) -> Convolutional:
    """The convolution that computes the delta of `layer`'s input from that of its sums, with cells `stride` apart.

    Its weights are those of `layer`, with windows rotated by 180 degrees, and filters and channels exchanged.
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


def no_kernel(layer: Convolutional) -> str:
    """Why no compiled code trains a convolution; empty where some does."""
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


def name_implementation(name: str) -> str:
    """The id of compiled code: what it does, and for which instruction set."""
    return f"{name}:{ISA.name}"


@dataclass
class Products:
    """What the products of a mini-batch share.

    Attributes
    ----------
    buffers : Buffers
    copied : list of (array, array)
        Pairs of which the second is copied, to the start of the first, before each step.
    images, threads : int
    """

    buffers: Buffers
    copied: list[tuple[Array, Array]]
    images: int
    threads: int

    def _pack(
        self,
        calls: Calls,
        layer: Layer,
        algorithm: AnyAlgorithm,
        weights: Callable[[], Array],
        source: Array,
        biases: Array,
    ) -> PackedWeights:
        """What `weights` returns, made from `source`, and `biases`, packed for `layer` again in each step."""
        ones = np.ones(len(biases), np.float32)
        if not algorithm.reorders(layer) and np.may_share_memory(weights(), source):
            packed = algorithm.pack(calls.table, self.buffers, layer, weights(), ones, biases)
            self.copied.append((packed.bias, biases))
            return packed

        made = algorithm.pack(Table(), Store(), layer, weights(), ones, biases)
        packed = made._replace(data=self.buffers.take(made.data.size))

        def renew(data: npt.NDArray[np.uint8]) -> None:
            table = Table()
            made = algorithm.pack(table, Store(), layer, weights(), ones, biases)
            table.freeze()
            table.run(team_of(self.threads))
            np.copyto(data, made.data)
            np.copyto(packed.bias, made.bias)

        calls.then(renew, packed.data, apart=2 * weights().nbytes + made.data.nbytes)
        return packed

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

    def _take(self, size: int) -> int:
        return address(self.buffers.take(size))

    def forward(self, calls: Calls, layer: Layer, weights: Array, biases: Array, source: Value, target: Value) -> str:
        """Add the calls that compute the layer's sums plus `biases`; return the implementation."""
        algorithm = pick(layer, weights.size)
        assert algorithm is not None
        packed = self._pack(calls, layer, algorithm, lambda: weights, weights, biases)
        plain = algorithm.plain and source.is_plain
        start = address(source.plain(calls)) if plain else source.blocked(calls)
        workspace = self._take(algorithm.workspace(layer, self.images, self.threads))
        operands = self._operands(start, target.make_blocked(), 0, (source.shape, layer.shape), workspace)
        algorithm.lower(calls.table, layer, packed, operands._replace(plain=plain))
        return name_implementation(algorithm.name)

    def convolve_back(self, calls: Calls, layer: Convolutional, weights: Array, delta: Value, target: Value) -> str:
        """Add the calls that compute the delta of a convolution's input from its sums'; return the implementation."""
        mirrored = mirror(layer)
        algorithm = pick(mirrored, weights.size)
        assert algorithm is not None
        none = np.zeros(mirrored.filters, np.float32)
        packed = self._pack(calls, mirrored, algorithm, lambda: mirror_weights(layer, weights), weights, none)
        shape = mirrored.input_shapes[0]
        apart = 0
        if layer.stride > 1:
            apart = round_up(delta.blocks * self.images * shape.height * shape.width * BLOCK, LINE)
        workspace = self._take(apart + algorithm.workspace(mirrored, self.images, self.threads))
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
        return name_implementation(algorithm.name)
