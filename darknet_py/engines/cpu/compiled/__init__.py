"""The kernels, in Numba's Python; imported only to be compiled."""
