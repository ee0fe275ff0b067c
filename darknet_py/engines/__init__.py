"""The engines, by name; importing this loads none of them."""

from __future__ import annotations

import ctypes
import logging
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import DarknetWarning, EngineError

if TYPE_CHECKING:
    from ..images.augment import Warp
    from ..layers import Array, Layer
    from ..parameters import Parameters
    from .base import Engine, TrainingPlan

LOG = logging.getLogger(__name__)
ENGINES = ("auto", "cpu", "cuda", "reference")
PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
CPU_PRECISIONS = ("float32", "bfloat16")
DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # of NVIDIA's GPUs
HIDING = ("", "-1")  # values of CUDA_VISIBLE_DEVICES that hide all GPUs
MOST_TOLD = 5  # layers that a warning names


def memory_needed(name: str, layers: Sequence[Layer], gpu: int | None, precision: str) -> int:
    """Bytes of this machine's memory that the engine `name` takes to hold a network; parameters as of `open_engine`."""
    on_cpu = name == "cpu" or (name == "auto" and gpu is None and bool(why_no_gpu()))
    if on_cpu and precision in CPU_PRECISIONS:
        needed: int = _import_cpu().memory_needed(layers, precision)
        return needed
    # A copy, and what it is made from.
    return 8 * sum(layer.parameter_count for layer in layers)


def open_engine(
    name: str,
    layers: Sequence[Layer],
    parameters: Iterable[Mapping[str, Array]],
    threads: int | None = None,
    gpu: int | None = None,
    precision: str = "float32",
) -> Engine:
    """Open the engine `name` with a network's parameters; one warning names the layers for which it has no kernel.

    Parameters
    ----------
    name : str
        ``reference``, ``cpu``, ``cuda``, or ``auto``: cuda where there is one, else cpu.
    layers : sequence of Layer
        The network's.
    parameters : iterable of mapping
        For each layer in turn, its arrays by name.
    threads : int, optional
        On the CPU; as many as it has cores where absent.
    gpu : int, optional
        Which GPU; asking for one rules out ``auto``'s CPU.
    precision : str
        Of activations and kernels; sums are float32. On the CPU ``float32`` or ``bfloat16``; on a GPU also
        ``tf32`` (float32 of which only 10 bits of the mantissa count) and ``float16``.

    Raises
    ------
    EngineError
        Where the engine is not available on this machine.
    """
    engine = _open_engine(name, layers, parameters, threads, gpu, precision)
    LOG.debug("engine %s in %s for %d layers", engine.name, precision, len(layers))
    _warn_of_defined(engine.defined, layers)
    return engine


def _warn_of_defined(defined: Mapping[int, str], layers: Sequence[Layer]) -> None:
    if defined:
        told = [f"{index} [{layers[index].section.name}], {reason}" for index, reason in defined.items()]
        more = f"; and {len(told) - MOST_TOLD} more" * (len(told) > MOST_TOLD)
        text = f"layers that run by their definitions, slowly: {'; '.join(told[:MOST_TOLD])}{more}"
        warnings.warn(DarknetWarning(text), stacklevel=3)


def _open_engine(
    name: str,
    layers: Sequence[Layer],
    parameters: Iterable[Mapping[str, Array]],
    threads: int | None,
    gpu: int | None,
    precision: str,
) -> Engine:
    if precision not in PRECISIONS:
        reason = f"unknown precision; one of {', '.join(PRECISIONS)} is expected"
        raise EngineError(reason, option=f"precision={precision}")
    if name == "auto" and gpu is None:
        device = _find_gpu()
        name = "cpu" if device is None else "cuda"
    elif name in ("auto", "cuda"):
        device, name = _open_gpu(gpu), "cuda"
    if name == "reference":
        from .reference import ReferenceEngine

        if precision != "float32":
            reason = "the reference engine computes in float32 only; take engine=cpu"
            raise EngineError(reason, option=f"precision={precision}")
        return ReferenceEngine(layers, parameters)
    if name == "cpu":
        if precision not in CPU_PRECISIONS:
            reason = "the CPU computes in float32 or bfloat16; this one needs a GPU: --engine cuda"
            raise EngineError(reason, option=f"precision={precision}")
        engine: Engine = _import_cpu().CpuEngine(layers, parameters, threads, precision)
        return engine
    if name == "cuda":
        from .cuda.cudnn import PRECISIONS as CUDNN_PRECISIONS
        from .cuda.engine import CudaEngine
        from .cuda.tune import Tuner

        cudnn = device.open_cudnn() if precision in CUDNN_PRECISIONS else None
        tuner = Tuner(f"{device.name}, {device.versions}", cudnn)
        return CudaEngine(layers, parameters, device, precision, tuner, _interpolate)
    raise EngineError(f"unknown engine; one of {', '.join(ENGINES)} is expected", option=f"engine={name}")


def tell_gpus() -> list[str]:
    """Each GPU in words; ``auto`` takes the first.

    Raises
    ------
    EngineError, MemoryError
        Where there is none, or one cannot be used: ``auto`` takes the CPU.
    """
    if reason := why_no_gpu():
        raise EngineError(reason)
    from .cuda.device import tell_gpus

    return tell_gpus()


def compile_training(
    name: str, layers: Sequence[Layer], parameters: Parameters, batch: int, threads: int | None = None
) -> TrainingPlan:
    """A plan of the engine `name` that trains `parameters`, in place, on mini-batches of `batch` images.

    One warning names the layers for which it has no kernel.

    `threads` are the CPU's, one for each core where absent; the results do not depend on them.

    Raises
    ------
    CfgError
        Where the network cannot be trained, or not as its cfg says.
    EngineError
        Where the engine does not train.
    """
    if name == "reference":
        from .reference import compile_training as compile_reference

        return compile_reference(layers, parameters, batch)
    if name in ("auto", "cpu"):
        _import_cpu()  # raises a one-line error where it cannot be loaded
        from .cpu.training import compile_training as compile_cpu

        plan: TrainingPlan = compile_cpu(layers, parameters, batch, threads)
        _warn_of_defined(plan.defined, layers)
        return plan
    raise EngineError("does not train; cpu or reference is expected", option=f"engine={name}")


def find_warp(name: str) -> Warp:
    """The engine's function that turns, stretches and recolours pictures; all have the same results."""
    if name == "reference":
        from ..images.augment import warp

        return warp
    _import_cpu()
    from .cpu.warp import warp as compiled

    return compiled


def _import_cpu() -> Any:
    try:
        from . import cpu
    except (ImportError, OSError) as reason:
        text = f"cannot be loaded; is there too little memory, or a library missing? {str(reason).splitlines()[0]}"
        raise EngineError(text, option="engine=cpu") from None
    return cpu


def _open_gpu(number: int | None) -> Any:
    from .cuda.device import CupyDevice

    return CupyDevice(number)


def _find_gpu() -> Any:
    """The first GPU; None without CuPy or a driver, and, after a warning, where they do not work."""
    if why_no_gpu():
        return None
    try:
        return _open_gpu(None)
    except (EngineError, MemoryError) as reason:
        warnings.warn(DarknetWarning(f"{reason}; the CPU is used"), stacklevel=2)
        return None


def why_no_gpu() -> str:
    """What is missing for the use of a GPU; empty where nothing is."""
    if find_spec("cupy") is None:
        return "CuPy is not installed"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in HIDING:
        return "CUDA_VISIBLE_DEVICES hides all GPUs"
    return "" if any(map(_can_load, DRIVERS)) else "there is no driver of NVIDIA's"


def _interpolate(*arguments: Any) -> Array:
    """The CPU engine's `interpolate`, loaded when it is first needed; other engines do not import that engine."""
    from .cpu.interpolate import interpolate

    answer: Array = interpolate(*arguments)
    return answer


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
