"""This machine's processor, without LLVM where possible: that takes longer to load than a small network to run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

SAID = "vendor_id", "cpu family", "model", "model name", "stepping", "flags"
BLOCK = 1 << 12  # bytes that are read at a time: the entry of one processor has fewer


class Processor(NamedTuple):
    """A processor.

    Attributes
    ----------
    name : str
        As its maker or LLVM calls it.
    identity : str
        Differs between processors for which LLVM may compile differently.
    features : mapping of str to bool
        Whether it has each, by LLVM's names.
    """

    name: str
    identity: str
    features: Mapping[str, bool]


def ask_processor() -> Processor:
    """An x86-64 processor as Linux describes it, with the features that programs may use; others as LLVM does."""
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        said = _read_cpuinfo()
        if "flags" in said:
            features = {flag.replace("_", ""): True for flag in said["flags"].split()}  # avx512_bf16, LLVM's avx512bf16
            return Processor(said.get("model name", ""), " ".join(said.values()), features)
    import llvmlite.binding as llvm

    name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    return Processor(name, f"{name} {features.flatten()}", features)


def _read_cpuinfo() -> dict[str, str]:
    """The fields `SAID` of the first processor; empty where the system has none."""
    text = b""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as stream:
            while b"\n\n" not in text and (block := stream.read(BLOCK)):
                text += block
    except OSError:
        return {}
    lines = text.partition(b"\n\n")[0].decode(errors="replace").splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return {key: fields[key] for key in SAID if key in fields}
