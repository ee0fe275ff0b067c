"""Kernels through NVRTC, which needs no GPU; what it made is kept in the cache."""

from __future__ import annotations

from typing import Any

from ...errors import EngineError
from .kept import keep
from .kernels import Kernel


def compile_kernel(nvrtc: Any, kernel: Kernel, architecture: str) -> bytes:
    """`kernel` as a cubin for an `architecture` as ``sm_90``, or as PTX for one as ``compute_90``.

    Raises
    ------
    EngineError
        Where NVRTC, which is `cupy.cuda.nvrtc`, is not there or does not know the architecture.
    """
    program = nvrtc.createProgram(kernel.source(), f"{kernel.name}.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"-arch={architecture}", "-std=c++17"))
        text: bytes | str = nvrtc.getCUBIN(program) if architecture[:3] == "sm_" else nvrtc.getPTX(program)
    except nvrtc.NVRTCError as reason:
        log = next((line for line in nvrtc.getProgramLog(program).splitlines() if "error" in line), "no reason given")
        raise EngineError(f"NVRTC cannot compile {kernel.name} for {architecture}: {reason}: {log}") from None
    finally:
        nvrtc.destroyProgram(program)
    return text if isinstance(text, bytes) else text.encode()


def architecture_for(nvrtc: Any, capability: tuple[int, int]) -> str:
    """What to compile for a GPU: its own architecture, or PTX of the newest that NVRTC knows where the GPU is newer."""
    wanted = 10 * capability[0] + capability[1]
    known = [architecture for architecture in nvrtc.getSupportedArchs() if architecture <= wanted]
    newest = max(known, default=wanted)
    return f"sm_{wanted}" if newest == wanted else f"compute_{newest}"


def load_compiled(nvrtc: Any, kernel: Kernel, architecture: str) -> bytes:
    """The compiled kernel, from the cache where it is there."""
    made_of = f"{architecture}\n{nvrtc.getVersion()}\n{kernel.source()}"
    return keep(made_of, ".cubin", lambda: compile_kernel(nvrtc, kernel, architecture))
