"""The orders in which algorithms read weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ....layers import Array
from ..packing import Groups, round_to, round_up

if TYPE_CHECKING:
    import numpy.typing as npt


class Order(Protocol):
    """How weights are stored; orders are equal where they store them alike."""

    def pack(self, weights: Array, factor: Array, groups: int) -> npt.NDArray[Any]:
        """Weights in this order.

        Parameters
        ----------
        weights : array
            (filters, channels of a group, height, width).
        factor : array
            (filters,), by which they are multiplied.
        groups : int
            How many the convolution has.
        """


@dataclass(frozen=True)
class Rows:
    """A row holds a filter's numbers, by row, column and channel of the window, then zeros.

    Attributes
    ----------
    precision : str
    groups : Groups
        As which a convolution's groups are computed: there are `groups.count` * `groups.filters` rows.
    length : int
        Numbers of a row.
    """

    precision: str
    groups: Groups
    length: int

    def pack(self, weights: Array, factor: Array, groups: int) -> npt.NDArray[Any]:
        """See `Order`: (rows, `length`), as `round_to` returns them."""
        filters, channels, height, width = weights.shape
        merged = self.groups
        numbers = height * width * merged.channels
        rows = np.zeros((merged.count * merged.filters, self.length), np.float32)
        windows = rows[:, :numbers].reshape(merged.count, merged.filters, height, width, merged.channels)
        each, together = filters // groups, groups // merged.count
        for group in range(groups):
            own = slice(group * each, (group + 1) * each)
            scaled = weights[own] * factor[own].reshape(-1, 1, 1, 1)
            home, place = divmod(group, together)
            merged_filters = slice(place * each, (place + 1) * each)
            merged_channels = slice(place * channels, (place + 1) * channels)
            windows[home, merged_filters, :, :, merged_channels] = scaled.transpose(0, 2, 3, 1)
        return round_to(rows, self.precision)


@dataclass(frozen=True)
class Taps:
    """A row for each row and column of the window, with one number of each filter, which has one channel; then zeros.

    Float32 in any precision: they are few.
    """

    def pack(self, weights: Array, factor: Array, groups: int) -> npt.NDArray[Any]:
        """See `Order`: (height * width, filters in whole packs)."""
        taps = (weights * factor.reshape(-1, 1, 1, 1)).reshape(groups, -1).T
        return np.pad(taps, [(0, 0), (0, round_up(groups) - groups)])


@dataclass(frozen=True)
class PackedWeights:
    """A convolution's or connected layer's weights on the GPU.

    Attributes
    ----------
    addresses : mapping of Order to int
        Their address in each order that some algorithm reads.
    biases : int
        The address of a bias for each filter, in whole packs.
    """

    addresses: Mapping[Order, int]
    biases: int
