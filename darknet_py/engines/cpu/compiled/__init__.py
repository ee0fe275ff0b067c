"""The kernels, in Numba's Python; imported only to be compiled."""

from __future__ import annotations

from numba import njit

# Python never calls a kernel, and needs no wrappers. Division by zero gives what NumPy's does: an exception would end a
# kernel midway, unnoticed, and no loop that divides would be vectorized.
kernel = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")
