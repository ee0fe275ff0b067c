"""A convolution as algorithms see it: what decides which is fastest, and where its numbers are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from ...layers import Layer
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from .packing import ITEM_SIZES, QUAD, STRIP, Groups


class Window(NamedTuple):
    """The part of the source that a filter covers for one output."""

    size_y: int
    size_x: int
    stride: int
    padding: int


def _of_convolutional(layer: Convolutional) -> tuple[int, Window]:
    return layer.groups, Window(layer.size, layer.size, layer.stride, layer.padding)


def _of_connected(layer: Connected) -> tuple[int, Window]:
    _, height, width = layer.input_shapes[0]
    return 1, Window(height, width, 1, 0)


# For each type of layer that algorithms compute, its groups and its window.
WINDOWS: dict[type[Layer], Callable[..., tuple[int, Window]]] = {
    Connected: _of_connected,
    Convolutional: _of_convolutional,
}


@dataclass(frozen=True)
class Convolution:
    """A convolution or connected layer, with all that is done as it stores its output: the problem of algorithms.

    Attributes
    ----------
    precision : str
    pictures, height, width : int
        The source's.
    out_height, out_width : int
    size_y, size_x, stride, padding : int
        A connected layer's window is the whole picture.
    groups : Groups
    source_stride, target_stride, residual_stride : int
        Numbers from one pixel to the next; the last is 0 where nothing is added.
    activation, final_activation : str
        Before and after a residual is added.
    depthwise : bool
        Whether each filter has a channel of its own: `groups` then joins groups of one channel and one filter.
    """

    precision: str
    pictures: int
    height: int
    width: int
    out_height: int
    out_width: int
    size_y: int
    size_x: int
    stride: int
    padding: int
    groups: Groups
    source_stride: int
    target_stride: int
    residual_stride: int = 0
    activation: str = "linear"
    final_activation: str = "linear"
    depthwise: bool = False

    @property
    def pixels(self) -> int:
        """Rows of the product: the output's pixels, of all pictures."""
        return self.pictures * self.out_height * self.out_width

    @property
    def numbers(self) -> int:
        """How many numbers of a window are summed over."""
        return self.size_y * self.size_x * self.groups.channels

    @property
    def strips(self) -> int:
        """How many strips hold these."""
        return ceil(self.numbers * ITEM_SIZES[self.precision] / STRIP)

    @property
    def piece(self) -> int:
        """Numbers of a window that are copied at once: those that always lie side by side."""
        piece = 16 // ITEM_SIZES[self.precision]
        return min(piece, QUAD) if self.source_stride == QUAD else piece


@dataclass(frozen=True)
class Operands:
    """Addresses of what a convolution reads and writes.

    Attributes
    ----------
    source, target, residual : int
        The last is 0 where nothing is added.
    weights, biases : int
        In the order that the algorithm reads.
    workspace, arrived : int
        Those of what else an implementation needs: bytes of any content, and zeros that it leaves as zeros.
    """

    source: int
    target: int
    residual: int
    weights: int
    biases: int
    workspace: int
    arrived: int
