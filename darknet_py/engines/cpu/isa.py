"""What the machine's vector unit is like, as data for the kernels."""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm


@dataclass(frozen=True)
class Isa:
    """Sizes of the micro-kernel's register tile.

    Attributes
    ----------
    name : str
    lanes : int
        float32 values in a vector register.
    mr : int
        Rows of the tile: output channels.
    nv : int
        Vectors in a row of the tile; nr = nv * lanes pixels.
    """

    name: str
    lanes: int
    mr: int
    nv: int

    @property
    def nr(self) -> int:
        """Pixels in a row of the tile."""
        return self.nv * self.lanes


# A tile of mr x nv accumulators, nv vectors of pixels and a broadcast fill the register file.
AVX512 = Isa("avx512", 16, 14, 2)
AVX2 = Isa("avx2", 8, 6, 2)
NEON = Isa("neon", 4, 8, 3)
GENERIC = Isa("generic", 4, 4, 2)


def host_isa() -> Isa:
    """The best that this machine has."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return AVX512
    if features.get("avx2") and features.get("fma"):
        return AVX2
    return NEON if features.get("neon") else GENERIC
