"""A convolution as its implementations see it: what decides which is fastest, and where its numbers lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from .packing import ITEM_SIZES, NARROW, STRIP, Groups


@dataclass(frozen=True)
class Convolution:
    """A convolution or connected layer, with all that is done as it stores.

    Attributes
    ----------
    precision : str
    pictures, height, width : int
        Of the source.
    out_height, out_width : int
    size_y, size_x, step, padding : int
        A connected layer's window is the whole picture.
    groups : Groups
    source_stride, target_stride, residual_stride : int
        Numbers from one pixel to the next; the last is 0 where nothing is added.
    activation, final_activation : str
        Before something is added and after it.
    """

    precision: str
    pictures: int
    height: int
    width: int
    out_height: int
    out_width: int
    size_y: int
    size_x: int
    step: int
    padding: int
    groups: Groups
    source_stride: int
    target_stride: int
    residual_stride: int = 0
    activation: str = "linear"
    final_activation: str = "linear"

    @property
    def pixels(self) -> int:
        """Rows of the product: the output's pixels, of all pictures."""
        return self.pictures * self.out_height * self.out_width

    @property
    def strips(self) -> int:
        """Of 64 bytes, that are summed over."""
        return ceil(self.size_y * self.size_x * self.groups.channels * ITEM_SIZES[self.precision] / STRIP)

    @property
    def piece(self) -> int:
        """Numbers of a window that are copied at once: those that always lie side by side."""
        piece = 16 // ITEM_SIZES[self.precision]
        return min(piece, NARROW) if self.source_stride == NARROW else piece


@dataclass(frozen=True)
class Operands:
    """Addresses of what a convolution reads and writes.

    Attributes
    ----------
    source, target, residual : int
        The last is 0 where nothing is added.
    kernels, filters, biases : int
        As `launches.Packed` says.
    workspace, arrived : int
        Of what an implementation needs besides: bytes of any content, and zeros that it leaves as zeros.
    """

    source: int
    target: int
    residual: int
    kernels: int
    filters: int
    biases: int
    workspace: int
    arrived: int
