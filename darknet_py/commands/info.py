"""darknet info: what a bug report should include: versions, processor, limits, engine, GPUs, cache."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence

from ..cache import UntrustedError, cache_dir, is_kept
from ..errors import one_line
from ..limits import core_count, core_quota, memory_limits, tell_size
from ..report import print_json, print_line
from ..version import __version__

# Distributions whose versions matter; extras are listed only where they are installed.
NEEDED = ("numpy", "numba", "llvmlite", "pillow", "simplejpeg")
EXTRAS = (
    "opencv-python",
    "opencv-python-headless",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "nvidia-cudnn-frontend",
    "distributed",
    "onnx",
)
SETTINGS = ("DARKNET_PY_CACHE", "DARKNET_PY_ISA", "DARKNET_PY_MAX_PIXELS", "DARKNET_PY_OFFLINE")  # none is a secret
Fact = str | Sequence[str] | Mapping[str, str]


def add_info(parser: argparse.ArgumentParser) -> None:
    """The options of ``info``."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how it is printed (default: text)")


def run_info(args: argparse.Namespace) -> int:
    """Print all that can be found out; for the rest print that it is unknown, and why."""
    facts = {name: _ask(find) for name, find in FACTS.items()}
    if args.format == "json":
        print_json(facts)
        return 0
    for name, fact in facts.items():
        print_line(f"{name + ':':17} {one_line(_tell(fact))}")
    return 0


def _ask(find: Callable[[], Fact]) -> Fact:
    try:
        return find()
    except Exception as reason:  # anything may be broken on this machine: that is why somebody asks
        text = str(reason).strip().partition("\n")[0] or type(reason).__name__
        return {"unknown": text}


def _tell(fact: Fact) -> str:
    if isinstance(fact, Mapping):
        if fact.keys() <= {"none", "unknown"}:
            return "; ".join(f"{name}: {reason}" for name, reason in fact.items()) or "none"
        return ", ".join(f"{name} {value}" for name, value in fact.items())
    return fact if isinstance(fact, str) else "; ".join(fact)


def _find_python() -> str:
    return f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"


def _find_libraries() -> dict[str, str]:
    """The installed versions; the libraries are not imported, as they may be broken."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in (*NEEDED, *EXTRAS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name in NEEDED:
                found[name] = "missing"
    return found


def _find_processor() -> str:
    from ..engines.cpu.isa import PROCESSOR

    return f"{platform.machine()}, {PROCESSOR.name or 'of no name'}"


def _find_instructions() -> str:
    from ..engines.cpu.isa import ASKED, DOTS, ISA

    return f"{ISA.name}, bfloat16 {'natively' if DOTS else 'as float32'}{', as DARKNET_PY_ISA asks' if ASKED else ''}"


def _find_cores() -> dict[str, str]:
    quota = core_quota()
    return {
        "used": str(core_count()),
        "processors": str(os.cpu_count() or "unknown"),
        "container's": "all" if quota is None else str(quota),
    }


def _find_memory() -> dict[str, str]:
    return {
        limit.whose: f"{tell_size(limit.size)}, of which this process has {tell_size(limit.used)}"
        for limit in memory_limits()
    }


def _find_engine() -> str:
    from ..engines import why_no_gpu

    return "cpu" if why_no_gpu() or isinstance(_ask(_find_gpus), Mapping) else "cuda"


def _find_gpus() -> Fact:
    from ..engines import tell_gpus, why_no_gpu

    reason = why_no_gpu()
    return {"none": reason} if reason else tell_gpus()


def _find_kernels() -> str:
    from ..engines.cpu.jit import kernels_path

    try:
        return "compiled" if is_kept(kernels_path()) else "not compiled yet; darknet warmup does it"
    except UntrustedError as reason:
        return f"compiled at every start: {reason.filename}: {reason.strerror}"


FACTS: Mapping[str, Callable[[], Fact]] = {
    "darknet": lambda: __version__,
    "python": _find_python,
    "libraries": _find_libraries,
    "system": platform.platform,
    "processor": _find_processor,
    "instruction set": _find_instructions,
    "cores": _find_cores,
    "memory": _find_memory,
    "engine": _find_engine,
    "gpus": _find_gpus,
    "cache": lambda: str(cache_dir()),
    "kernels": _find_kernels,
    "settings": lambda: {name: os.environ[name] for name in SETTINGS if os.environ.get(name)},
}
