"""Kernels compiled with NVRTC, which needs no GPU, and kept in the cache."""

from __future__ import annotations

from typing import Any

from ...errors import EngineError
from .kept import keep
from .kernels import Kernel

INSTALL = "pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12, or for a driver of CUDA 13 cupy-cuda13x nvidia-cuda-nvrtc"
OPTIONS = ("-std=c++17",)
OLDEST = 7, 0  # the lowest compute capability for which there are kernels


def compile_kernel(nvrtc: Any, kernel: Kernel, architecture: str) -> bytes:
    """`kernel` as a cubin for an `architecture` like ``sm_90``, or as PTX for one like ``compute_90``.

    Raises
    ------
    EngineError
        Where NVRTC, which is `cupy.cuda.nvrtc`, cannot compile it, or does not know the architecture.
    """
    program = nvrtc.createProgram(kernel.source(), f"{kernel.name}.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"-arch={architecture}", *OPTIONS))
        text: bytes | str = nvrtc.getCUBIN(program) if architecture[:3] == "sm_" else nvrtc.getPTX(program)
    except nvrtc.NVRTCError as reason:
        log = next((line for line in nvrtc.getProgramLog(program).splitlines() if "error" in line), "no reason given")
        raise EngineError(f"NVRTC cannot compile {kernel.name} for {architecture}: {reason}: {log}") from None
    finally:
        nvrtc.destroyProgram(program)
    return text if isinstance(text, bytes) else text.encode()


def check_driver(nvrtc: Any, driver: int) -> str:
    """NVRTC's version, if a `driver` of this version of CUDA, like 12080, runs what it compiles.

    Raises
    ------
    RuntimeError
        Where NVRTC is missing, or of a newer major version than the driver: drivers run what older compilers have made,
        and newer ones of the same major version.
    """
    try:
        version = nvrtc.getVersion()
    except RuntimeError as reason:
        # Older versions of CuPy do not find it where pip puts it.
        raise RuntimeError(f"{str(reason).splitlines()[0]}; CuPy 14 or later is expected: {INSTALL}") from None
    name = ".".join(map(str, version))
    if version[0] > driver // 1000:
        raise RuntimeError(
            f"CuPy finds NVRTC {name}, and the driver is one of CUDA {driver // 1000}, which does not run what that "
            f"compiles; a newer driver is expected, or an environment without packages of CUDA {version[0]}: {INSTALL}"
        )
    return name


def architecture_for(nvrtc: Any, gpu: str, capability: tuple[int, int]) -> str:
    """What to compile for a GPU: its own architecture, or, where NVRTC does not know that, PTX of an earlier one.

    That is the first of the newest generation that NVRTC knows: later ones of a generation have been renumbered, like
    10.1, which became 11.0.

    Raises
    ------
    RuntimeError
        Where it is too old, for the kernels or for NVRTC.
    """
    wanted = 10 * capability[0] + capability[1]
    known = [architecture for architecture in nvrtc.getSupportedArchs() if architecture <= wanted]
    has = f"{gpu} has compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST:
        raise RuntimeError(f"{has}; {OLDEST[0]}.{OLDEST[1]} is expected")
    if wanted in known:
        return f"sm_{wanted}"
    first = [architecture for architecture in known if architecture % 10 == 0]
    if not first:
        raise RuntimeError(f"{has}, for which this NVRTC does not compile; an older one is expected: {INSTALL}")
    return f"compute_{max(first)}"


def load_compiled(nvrtc: Any, kernel: Kernel, architecture: str) -> bytes:
    """The compiled kernel, from the cache if it is there."""
    made_of = f"{architecture} {OPTIONS}\n{nvrtc.getVersion()}\n{kernel.source()}"
    return keep(made_of, ".cubin", lambda: compile_kernel(nvrtc, kernel, architecture))
