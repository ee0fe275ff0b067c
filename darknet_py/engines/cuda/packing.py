"""Channels and numbers as the GPU reads them: in whole packs, in some precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers import Array

if TYPE_CHECKING:
    import numpy.typing as npt

PACK = 8  # channels: every value's pixels are a multiple of it apart
QUAD = 4  # channels: the least that threads take; pixels of so few are so far apart if no step takes whole packs
STRIP = 128  # bytes: what a thread block takes of each row at a time
ITEM_SIZES = {"float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2}


def round_up(count: int, multiple: int = PACK) -> int:
    """`count`, or the next `multiple` after it."""
    return -(-count // multiple) * multiple


@dataclass(frozen=True)
class Groups:
    """How a convolution's groups are computed: as `count` groups, each of several with zeros between them.

    Attributes
    ----------
    count : int
    channels, filters : int
        Of each, in whole packs.
    """

    count: int
    channels: int
    filters: int


def merge_groups(groups: int, channels: int, filters: int, pixel: int) -> Groups:
    """The most groups whose channels and filters are whole packs; 1 where there are none.

    `channels` and `filters` are those of all groups, `pixel` the channels of the source with what fills up a pack.
    Groups of less than 32 channels would leave most of a strip empty, so they are joined, too.
    """
    for count in range(groups, 1, -1):
        parts = channels // count, filters // count
        if groups % count == 0 and all(part % PACK == 0 and part >= 32 for part in parts):
            return Groups(count, *parts)
    return Groups(1, pixel, round_up(filters))


def fill_pack(numbers: Array) -> Array:
    """`numbers` (channels,) and zeros up to a whole pack."""
    return np.pad(numbers.astype(np.float32), (0, round_up(len(numbers)) - len(numbers)))


def round_to(numbers: Array, precision: str) -> npt.NDArray[Any]:
    """`numbers`, float32 and finite or not, rounded to the nearest that `precision` has."""
    if precision == "float32":
        return numbers
    if precision == "float16":
        with np.errstate(over="ignore"):
            return numbers.astype(np.float16)
    bits = numbers.view(np.uint32)
    if precision == "tf32":
        return np.where(np.isnan(numbers), bits, (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(numbers), 0x7FFF, rounded).astype(np.uint16)
