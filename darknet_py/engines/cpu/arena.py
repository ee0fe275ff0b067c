"""Memory that kernels are given addresses of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64  # bytes in a cache line


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """`size` bytes, zero, from the start of a cache line."""
    raw = np.zeros(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size]


def address(array: npt.NDArray[Any]) -> int:
    """Where an array's first byte is."""
    return int(array.__array_interface__["data"][0])


def round_up(size: int, multiple: int) -> int:
    """The next multiple of `multiple`."""
    return -(-size // multiple) * multiple
