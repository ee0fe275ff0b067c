"""What the machine's vector unit is like, as data for the kernels."""

from __future__ import annotations

import os
from dataclasses import dataclass

import llvmlite.binding as llvm

from ...errors import EngineError


@dataclass(frozen=True)
class Isa:
    """An instruction set.

    Attributes
    ----------
    name : str
    lanes : int
        float32 values in a vector register; activations are blocked by as many channels.
    rows, columns : int
        The micro-kernel's tile: pixels, and registers of output channels.
    cpu, features : str
        What LLVM compiles for where DARKNET_PY_ISA names the instruction set, not for this very machine.
    """

    name: str
    lanes: int
    rows: int
    columns: int
    cpu: str
    features: str


# A tile's accumulators, a row of weights and one broadcast fill the register file: 14 * 2 + 2 + 1 of 32.
ISAS = {
    isa.name: isa
    for isa in (
        Isa("avx512", 16, 14, 2, "skylake-avx512", "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx2,+fma"),
        Isa("avx2", 8, 6, 2, "haswell", "+avx2,+fma"),
        Isa("neon", 4, 12, 2, "generic", "+neon"),
        Isa("plain", 4, 4, 2, "generic", ""),
    )
}


ASKED = os.environ.get("DARKNET_PY_ISA")


def _choose() -> Isa:
    """The best that this machine has, or the one that DARKNET_PY_ISA names."""
    if ASKED is not None:
        if ASKED not in ISAS:
            reason = f"unknown instruction set; one of {', '.join(ISAS)} is expected"
            raise EngineError(reason, option=f"DARKNET_PY_ISA={ASKED}")
        return ISAS[ASKED]
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return ISAS["avx512"]
    if features.get("avx2") and features.get("fma"):
        return ISAS["avx2"]
    return ISAS["neon" if features.get("neon") else "plain"]


ISA = _choose()
LANES = ISA.lanes
BLOCK = 4 * LANES  # bytes in a register
HALF = BLOCK // 2  # bytes of a register's values in bfloat16
DOTS = ISA.name == "avx512" and not ASKED and bool(llvm.get_host_cpu_features().get("avx512bf16"))  # products of them
ROWS, COLUMNS = ISA.rows, ISA.columns
UNROLL = 4  # input channels per turn of the micro-kernel's inner loop
