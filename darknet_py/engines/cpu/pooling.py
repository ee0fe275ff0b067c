"""Maximum over windows."""

from __future__ import annotations

import numpy as np
from numba import prange

from .jit import kernel


@kernel("void(float32[:, :, ::1], float32[:, :, ::1], int64, int64, int64)")
def maxpool(src, dst, size, stride, padding):
    """dst (c, oh, ow) from src (c, ih, iw); `padding` cells before the first row and column."""
    channels, ih, iw = src.shape
    for c in prange(channels):
        for y in range(dst.shape[1]):
            top = y * stride - padding
            for x in range(dst.shape[2]):
                left = x * stride - padding
                best = np.float32(-np.inf)
                for sy in range(max(top, 0), min(top + size, ih)):
                    for sx in range(max(left, 0), min(left + size, iw)):
                        best = max(best, src[c, sy, sx])
                dst[c, y, x] = best
