"""The CUDA engine: kernels in kernels/, compiled and launched through CuPy."""

from __future__ import annotations

from .device import CupyDevice
from .engine import CudaEngine

__all__ = ["CudaEngine", "CupyDevice"]
