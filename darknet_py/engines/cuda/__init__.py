"""The CUDA engine: kernels in kernels/, put together and launched by CuPy."""

from __future__ import annotations

from .device import CupyDevice
from .engine import CudaEngine

__all__ = ["CudaEngine", "CupyDevice"]
