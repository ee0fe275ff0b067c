"""Every kernel compiles for GPUs, on a machine without one."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import cycle

import pytest

from darknet_py.engines.cuda import compiler
from darknet_py.engines.cuda.algorithms import FORWARD
from darknet_py.engines.cuda.algorithms.depthwise import UNROLLED, Depthwise
from darknet_py.engines.cuda.algorithms.implicit_gemm import ImplicitGemm
from darknet_py.engines.cuda.compiler import architecture_for, compile_kernel, load_compiled
from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.kernels import (
    ACTIVATION_CODES,
    FOLDER,
    FUNCTIONS,
    STRUCTURES,
    TYPES,
    activation_arguments,
    kernel_of,
    structure_dtype,
)
from darknet_py.engines.cuda.lowering import AVERAGING_BLOCKS, AVERAGING_THREADS
from darknet_py.engines.cuda.packing import ITEM_SIZES, QUAD, Groups
from darknet_py.errors import EngineError

# NVRTC comes with the GPU's driver or as a package; CuPy finds it.
nvrtc = pytest.importorskip("cupy", reason="no CuPy, by which kernels are compiled: pip install '.[cuda12]'").cuda.nvrtc


def convolutions(precision):
    """The kernels of all tiles, of every third also for few channels, and of the last for activations of both kinds.

    In bfloat16 only every third tile: its kernels differ from those of float16 only in the type.
    """
    tiles = [tile for tile in FORWARD[precision] if isinstance(tile, ImplicitGemm)]
    tiles = tiles[:: 3 if precision == "bfloat16" else 1]
    problem = Convolution(precision, 1, 8, 8, 8, 8, 3, 3, 1, 1, Groups(1, 8, 8), 8, 8, activation="leaky")
    few = replace(problem, groups=Groups(1, QUAD, 8), source_stride=QUAD)
    curves = [replace(problem, activation="mish"), replace(problem, residual_stride=8, final_activation="gelu")]
    made = [(tile, problem) for tile in tiles] + [(tile, few) for tile in tiles[::3]]
    return [tile.kernel(p, 9) for tile, p in [*made, *((tiles[-1], p) for p in curves)]]


def depthwise(precision):
    """Kernels for all windows, alternately for few and for many channels."""
    variants = (
        (8, QUAD, {"activation": "swish"}),
        (96, 96, {"activation": "leaky", "residual_stride": 96, "final_activation": "relu6"}),
    )
    windows = [(size, size, stride, size // 2) for size, stride in [*sorted(UNROLLED), (4, 1)]]
    problems = [
        Convolution(precision, 1, 14, 14, 14, 14, *window, Groups(1, channels, channels), stride, channels, **rest)
        for window, (channels, stride, rest) in zip(windows, cycle(variants))
    ]
    algorithm = Depthwise()
    return [tile.kernel(problem) for problem in problems for tile in algorithm.implementations(problem, None)]


def others(precision):
    kind = TYPES[precision]
    vectors = [(count,) for count in sorted({4, 16 // ITEM_SIZES[precision]})]
    more = {"enter": [(0,), (1,)], "softmax": [(kind,), ("float",)]}
    more |= dict.fromkeys(("average_pool", "max_pool", "crop"), vectors)
    codes = [activation_arguments(name)[0] for name in ("linear", "swish")]
    activated = [(*vector, code) for vector in vectors for code in codes]
    more |= dict.fromkeys(("scale", "add", "scale_channels"), activated)
    launched = {"average_pool": {"threads": AVERAGING_THREADS, "resident": AVERAGING_BLOCKS}}
    return [
        kernel_of(function, kind, *types, **launched.get(function, {}))
        for function in FUNCTIONS
        for types in more.get(function, [()])
    ]


def oldest():
    """The oldest architecture that this NVRTC knows, from 7.0 on."""
    return min(architecture for architecture in nvrtc.getSupportedArchs() if architecture >= 70)


def architectures(kernel):
    """The oldest one for which it may be chosen, and ``sm_90``: for all between, the text is as for one of these."""
    if "TensorCores" in kernel.call:
        return ["sm_80", "sm_90"]
    if "Scalar" in kernel.call and "float," not in kernel.call:
        return [f"sm_{oldest()}"]
    return [f"sm_{oldest()}", "sm_90"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", TYPES)
def test_every_kernel_compiles(precision):
    """For the oldest architecture; every third one for the newest, too."""
    for number, kernel in enumerate([*convolutions(precision), *depthwise(precision), *others(precision)]):
        for architecture in architectures(kernel)[: 1 if number % 3 else None]:
            assert compile_kernel(nvrtc, kernel, architecture)[:4] == b"\x7fELF"


@pytest.mark.parametrize(
    "kernel", [convolutions("float16")[0], depthwise("float16")[0], kernel_of("softmax", "half", "float")]
)
def test_a_kernel_is_compiled_to_ptx_under_its_name(kernel):
    assert f".entry {kernel.name}(".encode() in compile_kernel(nvrtc, kernel, "compute_80")


@pytest.mark.parametrize("activation", ACTIVATION_CODES)
def test_every_activation_is_compiled_to_code_without_a_switch(activation):
    kernel = kernel_of("scale", "float", 4, activation_arguments(activation)[0])
    assert b"brx" not in compile_kernel(nvrtc, kernel, "compute_80")


def test_a_gpu_newer_than_nvrtc_gets_ptx():
    class Known:
        getSupportedArchs = staticmethod(lambda: (70, 80, 89, 90, 100, 101))  # noqa: N815

    expected = {(8, 9): "sm_89", (9, 0): "sm_90", (9, 9): "compute_90", (10, 3): "compute_100", (12, 1): "compute_100"}
    assert {version: architecture_for(Known, "a GPU", version) for version in expected} == expected


def test_an_unknown_architecture_is_one_line():
    kernel = kernel_of("max_pool", "float", 4)
    with pytest.raises(EngineError, match=r"NVRTC cannot compile max_pool_float__4 for sm_1: .*$") as caught:
        compile_kernel(nvrtc, kernel, "sm_1")
    assert "\n" not in str(caught.value)


def test_what_was_compiled_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    kernel = others("float16")[0]
    compiled = load_compiled(nvrtc, kernel, "sm_80")
    monkeypatch.setattr(compiler, "compile_kernel", lambda *_: b"compiled anew")
    assert load_compiled(nvrtc, kernel, "sm_80") == compiled
    assert load_compiled(nvrtc, kernel, "sm_90") == b"compiled anew"


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole[:-1] + b"x"])
def test_a_damaged_file_in_the_cache_is_compiled_anew(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    kernel = others("float16")[0]
    compiled = load_compiled(nvrtc, kernel, "sm_80")
    (path,) = (tmp_path / "cuda").iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert load_compiled(nvrtc, kernel, "sm_80") == compiled


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "file"))
    assert load_compiled(nvrtc, others("float16")[0], "sm_80")[:4] == b"\x7fELF"


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_have_no_gaps(name):
    """Except at their end: NumPy and C may pad others differently."""
    dtype = structure_dtype(name)
    sizes = sum(dtype[field].itemsize for field in dtype.names)
    assert dtype.itemsize - sizes < 8


def test_the_table_holds_all_functions_that_take_types_and_numbers_alone():
    """So that all of them are compiled here."""
    takes = re.compile(r"template <((?:(?:class|int) \w+(?:, )?)+)>\n__device__ inline void (\w+)\(const (\w+)& p\)")
    found = {
        name: (path.stem, structure)
        for path in FOLDER.glob("*.cu")
        for _, name, structure in takes.findall(path.read_text(encoding="utf-8"))
    }
    del found["depthwise"]  # an algorithm's, compiled as it asks for it
    assert found == FUNCTIONS
