"""The CPU engine: Numba kernels."""

from __future__ import annotations

from .jit import load_kernels
from .plan import CpuEngine

__all__ = ["CpuEngine", "load_kernels"]
