"""The CPU engine: Numba kernels."""

from __future__ import annotations

from .jit import load_kernels, make_kernels
from .memory import memory_needed
from .plan import CpuEngine

__all__ = ["CpuEngine", "load_kernels", "make_kernels", "memory_needed"]
