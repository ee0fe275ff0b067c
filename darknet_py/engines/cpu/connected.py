"""Connected layers: a matrix, read once, times a vector."""

from __future__ import annotations

import numpy as np
from numba import prange

from .jit import kernel

CHAINS = 64  # partial sums a row, enough for every vector unit to keep busy


@kernel("void(float32[::1], float32[:, ::1], float32[::1], float32[::1], float32)")
def connect(src, matrix, bias, dst, slope):
    """dst (outputs) = slope(matrix (outputs, inputs) @ src + bias)."""
    inputs = src.size
    whole = inputs - inputs % CHAINS
    for row in prange(dst.size):
        sums = np.zeros(CHAINS, np.float32)
        for start in range(0, whole, CHAINS):
            for i in range(CHAINS):
                sums[i] += matrix[row, start + i] * src[start + i]
        total = bias[row]
        for i in range(CHAINS):
            total += sums[i]
        for i in range(whole, inputs):
            total += matrix[row, i] * src[i]
        dst[row] = total if total > 0 else slope * total
