"""A stand-in for a GPU: the CUDA engine's kernels, compiled by g++ and run on this machine's CPU."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support import assert_close, own_error, random_array, random_parameters, run_engine, scale_of

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.kernels import Launch

INTRINSICS = Path(__file__).parent / "host_gpu.cuh"
FOLDER = tempfile.TemporaryDirectory(prefix="host-gpu-")  # of the compiled kernels, as long as the tests run
GUARD = 256  # bytes of NaN on either side of each memory
NAN = 0xFF
OLD, NEW = (7, 5), (9, 0)  # compute capabilities without and with tensor cores
BOUNDS = {"float32": 5e-5, "tf32": 0.02, "float16": 0.02, "bfloat16": 0.15}  # for errors
ROUNDINGS = {"float32": 3e-7, "tf32": 1e-3, "float16": 1e-3, "bfloat16": 8e-3}

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++, which compiles kernels for the CPU")


class HostMemory:
    """Bytes between guards."""

    def __init__(self, size):
        self.size = size
        self._raw = np.full(GUARD + size + 2 * GUARD, NAN, np.uint8)
        start = GUARD + -(self._raw.ctypes.data + GUARD) % GUARD
        self.bytes = self._raw[start : start + size]
        self._guards = self._raw[:start], self._raw[start + size :]
        self.address = self.bytes.ctypes.data
        self.bytes[:] = 0

    def check(self):
        for guard in self._guards:
            assert (guard == NAN).all(), "a kernel wrote beside its memory"


class HostGpu:
    """The counterpart on the CPU of `darknet_py.engines.cuda.device.Device`."""

    name = "host"
    versions = "g++"
    multiprocessors = 4
    shared_limit = 99 << 10

    def __init__(self, capability=NEW):
        self.capability = capability
        self.memories = []

    def allocate(self, size):
        memory = HostMemory(size)
        self.memories.append(memory)
        return memory

    def upload(self, array):
        memory = self.allocate(array.nbytes)
        memory.bytes[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return memory

    def open_queue(self, blocking=False):
        return HostQueue(self)

    def open_cudnn(self):
        return None

    def check(self):
        """Assert that all guards are intact."""
        for memory in self.memories:
            memory.check()


class HostQueue:
    """Does at once all that it is told to."""

    def __init__(self, gpu):
        self.gpu = gpu

    def write(self, memory, array):
        memory.bytes[: array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def read(self, memory, array):
        array.reshape(-1).view(np.uint8)[:] = memory.bytes[: array.nbytes]

    def compile(self, launches, told=iter):
        pass  # each library is compiled whole

    def record(self, launches):
        recording = list(launches)
        self.replay(launch for launch in recording if not isinstance(launch, Launch))  # as graphs are, to be loaded
        return recording

    def replay(self, recording):
        for launch in recording:
            if isinstance(launch, Launch):
                run(launch)
            else:
                launch.cudnn.execute(launch)

    def measure(self, recording, times):
        """Not a time, which would say nothing about a GPU's: larger grids are faster, and cuDNN the fastest."""
        return sum(1 / np.prod(launch.grid) for launch in recording if isinstance(launch, Launch))


def check(network, precision="float32", pictures=2, capability=NEW, tuner=None, parameters=None):
    """Compare the engine's answers with the definitions, and assert that all guards round its memories are intact."""
    parameters = parameters or random_parameters(network.layers)
    batch = random_array((pictures, *network.input_shape))
    expected = run_engine("reference", network.layers, parameters, batch)
    gpu = HostGpu(capability)
    engine = CudaEngine(network.layers, parameters, gpu, precision, tuner)
    plan = engine.plan(network.layers)
    execution = plan.execution(pictures)
    execution.arena.bytes[:] = NAN  # nothing may be read that was not written before
    answers = plan.run(batch)
    gpu.check()
    bound = BOUNDS[precision]
    if np.abs(answers - expected).max(initial=0) > bound * scale_of(expected):
        bound = max(bound, 20 * own_error(network.layers, parameters, batch, expected, ROUNDINGS[precision]))
    assert_close(answers, expected, bound)
    assert plan.run(batch).tobytes() == answers.tobytes()
    return execution


def run(launch):
    """Run one kernel over its grid."""
    grid = (ctypes.c_uint32 * 2)(*launch.grid)
    assert launch.arguments.nbytes == launch.arguments.dtype.itemsize
    function, size, conflicts, overruns = compile_kernel(launch.kernel)
    assert size == launch.arguments.dtype.itemsize, "NumPy and C lay the structure out alike"
    kernel = launch.kernel
    function(launch.arguments.ctypes.data_as(ctypes.c_void_p), grid, kernel.threads, kernel.shared)
    assert overruns() == 0, "shared memory that the kernel was not given"
    assert conflicts() == 0, "rows that tensor cores read at once lie in the same banks of shared memory"


@cache
def compile_kernel(kernel):
    """What launches `kernel`, the size of its arguments, and what counts bank conflicts and overruns of memory."""
    entry = (
        f'extern "C" void run(const void* arguments, const u32* grid, u32 threads, u32 shared) {{'
        f" launch({kernel.name}, *(const {kernel.structure}*)arguments, grid, threads, shared); }}\n"
        f'extern "C" int size() {{ return sizeof({kernel.structure}); }}\n'
        f'extern "C" int count_conflicts() {{ return conflicts; }}\n'
        f'extern "C" int count_overruns() {{ return overruns; }}\n'
    )
    library = ctypes.CDLL(str(build(kernel.source(INTRINSICS) + entry)))
    return library.run, library.size(), library.count_conflicts, library.count_overruns


def build(text):
    """Compile `text` into a library; return its path."""
    path = Path(FOLDER.name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    compile_text(text, path, ".cpp", "-shared", "-include", headers())
    return path


@cache
def headers():
    """The C++ headers that kernels need, precompiled: they took half of a kernel's 0.35 s."""
    path = Path(FOLDER.name) / "headers.hpp"
    included = [line for line in INTRINSICS.read_text().splitlines() if line.startswith("#include")]
    compile_text("\n".join(included), path.with_suffix(".hpp.gch"), "", "-x", "c++-header")
    return path


def compile_text(text, path, suffix, *flags):
    source = path.with_suffix(suffix)
    source.write_text(text)
    common = ["-std=c++17", "-O1", "-U_FORTIFY_SOURCE", "-ffp-contract=fast", "-march=native", "-fPIC", "-w"]
    ran = subprocess.run(["g++", *common, *flags, source, "-o", path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[:2000]
