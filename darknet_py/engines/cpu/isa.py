"""The machine's vector unit, described as data for the kernels."""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

from ...errors import EngineError
from .machine import ZEN_4, ZEN_4_AVX2, Machine
from .processor import ask_processor


class Dots(NamedTuple):
    """Instructions for products of pairs of bfloat16, by LLVM's names.

    Attributes
    ----------
    feature : str
        The CPU feature that provides them.
    multiply : str
        Adds the products of the pairs in each lane of two registers to a register of float32.
    narrow : str
        Converts a register of float32 to bfloat16.
    """

    feature: str
    multiply: str
    narrow: str


class Isa(NamedTuple):
    """An instruction set.

    Attributes
    ----------
    name : str
    lanes : int
        float32 values in a vector register; activations are blocked by as many channels.
    rows, columns : int
        The micro-kernel's tile: pixels, and registers of output channels.
    cpu, features : str
        What LLVM compiles for where DARKNET_PY_ISA names the instruction set; otherwise it compiles for this machine.
    needs : tuple of str, optional
        Features, by LLVM's names, that a machine must have for this to be chosen automatically; None for never.
    dots : Dots, optional
        None where products of bfloat16 are computed in float32.
    family : str, optional
        The family of the processors that may have it, one of the values of `FAMILIES`; empty for any.
    machine : Machine
        What work costs.
    fix_up : str
        An instruction, by LLVM's name, that replaces numbers by kind, such as infinity or negative; empty for none.
    scale, reduce : str
        Instructions that multiply by a power of two, and that subtract the nearest integer; empty for none.
    """

    name: str
    lanes: int
    rows: int
    columns: int
    cpu: str
    features: str
    needs: tuple[str, ...] | None = None
    dots: Dots | None = None
    family: str = ""
    machine: Machine = ZEN_4
    fix_up: str = ""
    scale: str = ""
    reduce: str = ""


_AVX512_DOTS = Dots("avx512bf16", "llvm.x86.avx512bf16.dpbf16ps.512", "llvm.x86.avx512bf16.cvtneps2bf16.512")
# The best first. A tile's accumulators, a row of weights and one broadcast fill the register file: 14 * 2 + 2 + 1 of
# 32.
ISAS = {
    isa.name: isa
    for isa in (
        Isa(
            "avx512", 16, 14, 2, "skylake-avx512", "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx2,+fma",
            ("avx512f", "avx512vl", "avx512dq"), _AVX512_DOTS, "x86",
            fix_up="llvm.x86.avx512.mask.fixupimm.ps.512", scale="llvm.x86.avx512.mask.scalef.ps.512",
            reduce="llvm.x86.avx512.mask.reduce.ps.512",
        ),
        Isa("avx2", 8, 6, 2, "haswell", "+avx2,+fma", ("avx2", "fma"), family="x86", machine=ZEN_4_AVX2),
        Isa("neon", 4, 12, 2, "generic", "+neon", ("neon",), family="arm"),
        Isa("generic", 4, 4, 2, "generic", "", ()),
    )
}  # fmt: skip


FAMILIES = {"x86_64": "x86", "amd64": "x86", "aarch64": "arm", "arm64": "arm"}  # by the system's name for the machine
BASELINES = {"x86": "sse2", "arm": "neon"}  # what all of a family have: emulators do not always report it
ASKED = os.environ.get("DARKNET_PY_ISA") or None
PROCESSOR = ask_processor()
_HAS = PROCESSOR.features


def _choose() -> Isa:
    """The best instruction set that this machine has, or the one that DARKNET_PY_ISA names."""
    if ASKED is None:
        return next(isa for isa in ISAS.values() if isa.needs is not None and all(map(_HAS.get, isa.needs)))
    if ASKED not in ISAS:
        reason = f"unknown instruction set; one of {', '.join(ISAS)} is expected"
        raise EngineError(reason, option=f"DARKNET_PY_ISA={ASKED}")
    return ISAS[ASKED]


def _find_family() -> str:
    """This machine's family, a value of `FAMILIES`; empty where it is none of them. Some systems answer slowly."""
    return FAMILIES.get(platform.machine().lower(), "")


def refuse_missing(isa: Isa) -> None:
    """Raise EngineError where this machine cannot run code for an instruction set that was asked for.

    It can still be planned for here, and compiled for on a machine of its family.
    """
    features = [feature.lstrip("+") for feature in isa.features.split(",") if feature]
    baseline = BASELINES.get(_find_family())
    missing = [feature for feature in features if not _HAS.get(feature) and feature != baseline]
    if missing and _HAS:  # on some systems LLVM reports no features
        reason = f"this processor has no {', '.join(missing)}; unset it for the best that there is"
        raise EngineError(reason, option=f"DARKNET_PY_ISA={isa.name}")


def refuse_foreign(isa: Isa) -> None:
    """Raise EngineError where no machine of this one's family can run code for an instruction set."""
    family = _find_family()
    if isa.family and family and isa.family != family:
        known = ", ".join(other.name for other in ISAS.values() if other.family in ("", family))
        reason = f"no {platform.machine()} processor has it; one of {known} is expected"
        raise EngineError(reason, option=f"DARKNET_PY_ISA={isa.name}")


ISA = _choose()
MACHINE = ISA.machine
LANES = ISA.lanes
BLOCK = 4 * LANES  # bytes in a register
HALF = BLOCK // 2  # bytes of a register's values in bfloat16
# Code for an instruction set that was asked for must run on any machine that has it, so it does without these.
DOTS = ISA.dots if ISA.dots is not None and ASKED is None and _HAS.get(ISA.dots.feature) else None
ROWS, COLUMNS = ISA.rows, ISA.columns
UNROLL = 4  # input channels per turn of the micro-kernel's inner loop, over adjacent pixels
