"""`image.interpolate`, compiled: the same bits, some ten times as fast, and other threads run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...images.fit import UNIT
from ...layers import Array
from .arena import address, round_up
from .isa import LANES
from .jit import load_kernels

if TYPE_CHECKING:
    import numpy.typing as npt


def interpolate(
    picture: npt.NDArray[np.uint8],
    left: npt.NDArray[np.int64],
    across: Array,
    top: npt.NDArray[np.int64],
    upper: Array,
    lower: Array,
) -> Array:
    """See `image.interpolate`; the answer lies in memory as (3, rows, columns)."""
    if picture.strides[1:] != (3, 1) or picture.strides[0] < 0:
        picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    target = np.empty((3, len(top), len(left)), np.float32)
    rows = np.empty((2, 3, round_up(len(left), LANES)), np.float32)
    load_kernels().interpolate(
        address(picture),
        picture.strides[0],
        height - 1,
        width - 1,
        address(left),
        address(across),
        len(left),
        address(top),
        address(upper),
        address(lower),
        len(top),
        address(UNIT),
        address(rows),
        address(target),
    )
    return target.transpose(1, 2, 0)
