"""The CPU engine: Numba kernels."""

from __future__ import annotations

from .jit import load_kernels
from .memory import memory_needed
from .plan import CpuEngine
from .training import compile_training

__all__ = ["CpuEngine", "compile_training", "load_kernels", "memory_needed"]
