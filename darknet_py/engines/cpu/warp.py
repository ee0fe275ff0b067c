"""`images.augment.warp`, compiled: the same bits, many times as fast, and other threads run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...images.augment import UNIT, Draws, Places, check_warp
from ...layers import Array
from .arena import address
from .jit import load_kernels

if TYPE_CHECKING:
    import numpy.typing as npt


def warp(picture: npt.NDArray[np.uint8], places: Places, draws: Draws, out: Array) -> Array:
    """See `images.augment.warp`."""
    check_warp(picture, places, out)
    if picture.strides[1:] != (3, 1) or picture.strides[0] < 0:
        picture = np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    # Kept in a list while their addresses are used.
    vectors = [np.ascontiguousarray(vector, np.float64) for vector in places]
    across_x, down_x, across_y, down_y = map(address, vectors)
    factors = np.array([6 * draws.hue, draws.saturation, draws.exposure, UNIT], np.float32)
    _, rows, columns = out.shape
    load_kernels().warp(
        address(picture),
        picture.strides[0],
        height,
        width,
        across_x,
        down_x,
        across_y,
        down_y,
        columns,
        rows,
        address(factors),
        address(out),
    )
    return out
