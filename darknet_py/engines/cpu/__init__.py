"""The CPU engine: Numba kernels."""

from __future__ import annotations

from .plan import CpuEngine

__all__ = ["CpuEngine"]
