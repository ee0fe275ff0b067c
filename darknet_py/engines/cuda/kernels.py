"""The kernels' source, put together from the files in kernels/, and the arguments of each kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...layers.activations import GELU_CUBIC, GELU_LINEAR, SELU_ALPHA, SELU_SCALE
from ..passes import SLOPES

FOLDER = Path(__file__).parent / "kernels"
# Activations that are not x > 0 ? x : slope * x, as layers/activations.py defines them, in C.
CURVES = {
    "logistic": "1 / (1 + expf(-x))",
    "loggy": "2 / (1 + expf(-x)) - 1",
    "elu": "x < 0 ? expm1f(x) : x",
    "selu": f"{SELU_SCALE}f * (x < 0 ? {SELU_ALPHA}f * expm1f(x) : x)",
    "ramp": "x * (x > 0) + 0.1f * x",
    "tanh": "tanhf(x)",
    "plse": "x < -4 ? 0.01f * (x + 4) : x > 4 ? 0.01f * (x - 4) + 1 : 0.125f * x + 0.5f",
    "lhtan": "x < 0 ? 0.001f * x : x > 1 ? 0.001f * (x - 1) + 1 : x",
    "hardtan": "x < -1 ? -1 : x > 1 ? 1 : x",
    "stair": "floorf(x) == 2 * floorf(floorf(x) / 2) ? floorf(x / 2) : x - floorf(x) + floorf(x / 2)",
    "relu6": "x < 0 ? 0 : x > 6 ? 6 : x",
    "swish": "x / (1 + expf(-x))",
    "mish": "x * tanhf(log1pf(expf(fminf(x, 20))))",  # from 20 on the tanh is 1
    "hard_mish": "x > 0 ? x : x < -2 ? 0 : x * (0.5f * x + 1)",
    "gelu": f"x / (1 + expf(-x * ({2 * GELU_LINEAR}f + {2 * GELU_CUBIC}f * x * x)))",
}
# As kernels' templates take them.
ACTIVATION_CODES = dict.fromkeys(SLOPES, "SLOPE") | {name: str(code) for code, name in enumerate(CURVES)}
TYPES = {"float32": "float", "tf32": "tfloat32", "float16": "half", "bfloat16": "bfloat16"}
STATIC_SHARED = 1 << 10  # bytes of static shared memory that a kernel has, at most
THREADS = 256  # in a thread block, where a kernel does not need another number

# For each kind of arguments, the fields of its C structure. Strides are numbers from one pixel to the next.
STRUCTURES = {
    "Convolution": (
        ("const void*", "source"),
        ("const void*", "weights"),
        ("const float*", "biases"),
        ("const void*", "residual"),  # null where there is none
        ("void*", "target"),
        ("float*", "workspace"),  # for thread blocks that share a tile
        ("int*", "arrived"),  # for each tile how many of them are done; 0 between launches
        ("int", "source_stride"),
        ("int", "residual_stride"),
        ("int", "target_stride"),
        ("int", "pixels"),  # of all pictures' outputs
        ("int", "height"),
        ("int", "width"),
        ("int", "out_height"),
        ("int", "out_width"),
        ("int", "size_y"),
        ("int", "size_x"),
        ("int", "stride"),
        ("int", "padding"),
        ("int", "group_channels"),  # in whole packs
        ("int", "group_filters"),  # in whole packs
        ("int", "strips"),  # in a row of weights
        ("int", "splits"),  # thread blocks that share a tile
        ("int", "column_tiles"),
        ("float", "slope"),  # where the activation is one
        ("float", "final_slope"),
    ),
    "Pooling": (
        ("const void*", "source"),
        ("void*", "target"),
        ("int", "source_stride"),
        ("int", "target_stride"),
        ("int", "channels"),  # in whole packs
        ("int", "pixels"),  # of all pictures' outputs
        ("int", "height"),
        ("int", "width"),
        ("int", "out_height"),
        ("int", "out_width"),
        ("int", "size"),
        ("int", "stride"),
        ("int", "padding"),  # before the first row
        ("int", "lanes"),  # vectors of channels that a thread block has side by side; a power of 2
    ),
    "Elements": (
        ("const void*", "source"),
        ("const void*", "other"),
        ("const float*", "factors"),  # null where there are none
        ("const float*", "biases"),
        ("void*", "target"),
        ("int", "source_stride"),
        ("int", "other_stride"),
        ("int", "target_stride"),
        ("int", "channels"),  # in whole packs, but for copies and the caller's arrays
        ("int", "filled"),
        ("int", "pixels"),  # of all pictures' outputs
        ("int", "height"),
        ("int", "width"),
        ("int", "out_height"),
        ("int", "out_width"),
        ("int", "top"),
        ("int", "left"),
        ("int", "other_channels"),
        ("int", "factor_channels"),
        ("int", "other_height"),
        ("int", "other_width"),
        ("int", "stride"),
        ("int", "spread"),
        ("float", "slope"),  # where the activation is one
        ("float", "alpha"),
        ("float", "beta"),
    ),
    "Softmax": (
        ("const void*", "source"),
        ("void*", "target"),
        ("int", "source_stride"),
        ("int", "plane"),  # pixels of a picture
        ("int", "size"),  # numbers of a group
        ("int", "target_image"),  # strides of the target
        ("int", "target_pixel"),
        ("int", "target_channel"),
        ("int", "channels"),
        ("int", "fill"),  # channels after them that become 0
        ("float", "temperature"),
    ),
}
# The device functions whose template takes only types and numbers, with their file in kernels/ and the kind of their
# arguments.
FUNCTIONS = {
    "enter": ("elementwise", "Elements"),
    "leave": ("elementwise", "Elements"),
    "copy": ("elementwise", "Elements"),
    "scale": ("elementwise", "Elements"),
    "crop": ("elementwise", "Elements"),
    "add": ("elementwise", "Elements"),
    "scale_channels": ("elementwise", "Elements"),
    "max_pool": ("pooling", "Pooling"),
    "average_pool": ("pooling", "Pooling"),
    "softmax": ("softmax", "Softmax"),
}
_NUMPY_TYPES = {"int": np.dtype(np.int32), "float": np.dtype(np.float32)}


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be compiled.

    Attributes
    ----------
    file : str
        In kernels/, without ``.cu``.
    call : str
        The device function in it, with its template's arguments.
    structure : str
        The kind of its arguments.
    threads : int
        In a thread block.
    shared : int
        Bytes of dynamic shared memory for each thread block.
    resident : int
        Thread blocks that a multiprocessor has room for at least; the fewer, the more registers each may have, for more
        loads in flight. 0 leaves it to the compiler.
    """

    file: str
    call: str
    structure: str
    threads: int = THREADS
    shared: int = 0
    resident: int = 0

    @property
    def name(self) -> str:
        """The compiled function's."""
        return "".join(c if c.isalnum() else "_" for c in self.call).strip("_")

    def source(self, intrinsics: Path = FOLDER / "intrinsics.cuh") -> str:
        """The whole text; `intrinsics` may be another file with the same functions."""
        bounds = f"{self.threads}, {self.resident}" if self.resident else self.threads
        entry = (
            f'extern "C" __global__ void __launch_bounds__({bounds}) {self.name}'
            f"(const __grid_constant__ {self.structure} arguments) {{\n    {self.call}(arguments);\n}}\n"
        )
        files = intrinsics, FOLDER / "common.cuh", FOLDER / f"{self.file}.cu"
        intrinsics_text, common, text = (path.read_text(encoding="utf-8") for path in files)
        return "\n".join([intrinsics_text, _declarations(), common, text, entry])


def kernel_of(function: str, *template: str | int, **launch: int) -> Kernel:
    """The kernel of one of the `FUNCTIONS`, for these arguments of its `template`, in C.

    `launch` are the other attributes of `Kernel`, where they differ from its defaults.
    """
    file, structure = FUNCTIONS[function]
    return Kernel(file, f"{function}<{', '.join(map(str, template))}>", structure, **launch)


def activation_arguments(name: str) -> tuple[str, float]:
    """What kernels that apply the activation `name` take: its code in their template, and the slope."""
    return ACTIVATION_CODES[name], SLOPES.get(name, 0)


def structure_dtype(name: str) -> np.dtype[np.void]:
    """The memory layout of the C structure `name`."""
    fields = [
        (field, np.dtype(np.uint64) if kind.endswith("*") else _NUMPY_TYPES[kind]) for kind, field in STRUCTURES[name]
    ]
    return np.dtype(fields, align=True)


@dataclass(frozen=True)
class Launch:
    """A kernel with its arguments.

    Attributes
    ----------
    kernel : Kernel
    grid : tuple of int
        Thread blocks.
    arguments : structured scalar array
        As the kernel's `structure` says.
    """

    kernel: Kernel
    grid: tuple[int, int]
    arguments: np.ndarray[Any, np.dtype[np.void]]


def arguments_of(structure: str, **fields: float) -> np.ndarray[Any, np.dtype[np.void]]:
    """The arguments of a kernel; 0 where they are not given."""
    arguments = np.zeros((), structure_dtype(structure))
    for name, value in fields.items():
        arguments[name] = value
    return arguments


@cache
def _declarations() -> str:
    structures = [
        f"struct {name} {{\n" + "".join(f"    {kind} {field};\n" for kind, field in fields) + "};\n"
        for name, fields in STRUCTURES.items()
    ]
    cases = [f"case {ACTIVATION_CODES[name]}: return {formula};" for name, formula in CURVES.items()]
    cases.append("default: return __uint_as_float(0x7fc00000);")  # not a number
    body = "\n        ".join(["switch (activation) {", *cases]) + "\n    }"
    curve = f"__device__ inline float curve(int activation, float x) {{\n    {body}\n}}\n"
    return "\n".join([*structures, curve])
