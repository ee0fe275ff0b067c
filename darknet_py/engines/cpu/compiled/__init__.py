"""The kernels, in Numba's Python; imported only to be compiled."""

from __future__ import annotations

from numba import njit

# Python never calls a kernel, and needs no wrappers.
kernel = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
