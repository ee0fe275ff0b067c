"""Convolution as a matrix product: kernels times columns of the picture, a block of pixels at a time."""

from __future__ import annotations

import numpy as np
from numba import njit, prange, types

from ...layers import Array
from .jit import kernel
from .microkernel import MR, NR, multiply_tile


def pack_kernels(kernels: Array, groups: int) -> Array:
    """Kernels (oc, ic / groups, kh, kw) as panels (groups, ceil(oc / groups / MR), depth, MR), zero-padded."""
    rows = kernels.reshape(groups, kernels.shape[0] // groups, -1)
    panels = -(-rows.shape[1] // MR)
    padded = np.zeros((groups, panels * MR, rows.shape[2]), np.float32)
    padded[:, : rows.shape[1]] = rows
    return np.ascontiguousarray(padded.reshape(groups, panels, MR, -1).transpose(0, 1, 3, 2))


@njit(error_model="numpy", nogil=True)
def _pack_pixels(src, ih, iw, size, stride, padding, first, count, ow, panel):
    """Columns of `count` output pixels from `first` on as panel[depth, NR]; src is (ic, ih, iw)."""
    if size == 1 and stride == 1 and padding == 0:
        for c in range(src.shape[0]):
            for p in range(count):
                panel[c * NR + p] = src[c, first + p]
        return
    row = 0
    for c in range(src.shape[0]):
        for ky in range(size):
            for kx in range(size):
                y, x = first // ow, first % ow
                sy, sx = y * stride + ky - padding, x * stride + kx - padding
                for p in range(count):
                    inside = 0 <= sy < ih and 0 <= sx < iw
                    panel[row + p] = src[c, sy * iw + sx] if inside else np.float32(0)
                    x += 1
                    sx += stride
                    if x == ow:
                        x = 0
                        sx = kx - padding
                        sy += stride
                row += NR


@kernel(
    "void(float32[:, ::1], float32[:, :, :, ::1], float32[::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], int64, int64, int64, int64, int64, int64, int64, float32, float32)"
)
def convolve(src, panels, bias, residual, dst, scratch, ih, iw, ow, size, stride, padding, residual_used, slope, final):
    """dst (oc, oh * ow) = final(slope(convolution of src (ic, ih * iw)) + residual).

    `scratch` has a row per thread: a panel of pixels, then a tile. `slope` and `final` are those of
    activations x > 0 ? x : slope * x.
    """
    groups, tiles, depth, _ = panels.shape
    oc, pixels = dst.shape[0] // groups, dst.shape[1]
    ic = src.shape[0] // groups
    blocks = (pixels + NR - 1) // NR
    threads = scratch.shape[0]
    for thread in prange(threads):
        panel = scratch[thread]
        tile = scratch[thread, depth * NR :]
        for work in range(thread, groups * blocks, threads):
            group, block = work // blocks, work % blocks
            first = block * NR
            count = min(NR, pixels - first)
            _pack_pixels(src[group * ic : (group + 1) * ic], ih, iw, size, stride, padding, first, count, ow, panel)
            for t in range(tiles):
                a = types.uintp(panels[group, t].ctypes.data)
                multiply_tile(a, types.uintp(panel.ctypes.data), types.uintp(tile.ctypes.data), depth)
                for i in range(min(MR, oc - t * MR)):
                    channel = group * oc + t * MR + i
                    for p in range(count):
                        x = tile[i * NR + p] + bias[channel]
                        x = x if x > 0 else slope * x
                        if residual_used:
                            x += residual[channel, first + p]
                            x = x if x > 0 else final * x
                        dst[channel, first + p] = x


def scratch_size(depth: int) -> int:
    """How many float32 values each thread needs for products of `depth` terms."""
    return depth * NR + MR * NR
