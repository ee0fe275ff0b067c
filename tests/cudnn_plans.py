"""Which convolutions cuDNN plans for an H100, asked without a GPU: python tests/cudnn_plans.py FOLDER PRECISION CFG...

Prints for each network how many convolutions have a graph, how many of these cuDNN has plans for, and what became of
compiling the first one's plans twice, by other processes and from the cache. FOLDER is for a driver that does nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from darknet_py.engines.cuda.algorithms import FORWARD, Machine
from darknet_py.engines.cuda.convolution import WINDOWS
from darknet_py.engines.cuda.cudnn import Cudnn
from darknet_py.engines.cuda.layout import describe
from darknet_py.engines.cuda.lowering import lay_out
from darknet_py.engines.cuda.packing import PACK
from darknet_py.engines.passes import compile_steps
from darknet_py.network import load_structure

H100 = {
    "deviceName": "NVIDIA H100 80GB HBM3", "cudaDeviceId": 0, "pciDeviceId": 0, "isTccDriver": 0,
    "deviceVer": 900, "driverVer": 12080, "multiProcessorCount": 132, "totalGlobalMem": 85 << 30,
    "l2CacheSize": 50 << 20, "memoryBusWidth": 5120, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000,
    "maxGridSize": [(1 << 31) - 1, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "warpSize": 32,
    "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "supportCoopLaunch": 1,
    "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
    "maxSharedMemoryPerBlock": 48 << 10, "maxSharedMemoryPerBlockOptin": 227 << 10,
    "reservedSharedMemoryPerBlock": 1024,
}  # fmt: skip
# What cuDNN calls in the driver: functions that make something, others that load kernels, and those that need a GPU.
MAKING = "cuLibraryLoadData cuLibraryLoadFromFile cuLibraryGetKernel cuKernelGetFunction cuModuleLoadData "
MAKING += "cuModuleGetFunction"
LOADING = "cuLibraryUnload cuModuleUnload cuKernelSetAttribute cuKernelGetAttribute cuTensorMapEncodeIm2col "
LOADING += "cuTensorMapEncodeTiled"
REFUSED = "cuGetErrorString cuGetErrorName cuCtxGetCurrent cuCtxGetLimit cuCtxPopCurrent cuCtxPushCurrent "
REFUSED += "cuStreamGetCtx cuDriverGetVersion cuLinkCreate cuLinkAddData cuLinkComplete cuLinkDestroy cuLaunchKernel "
REFUSED += "cuLaunchKernelEx cuLaunchCooperativeKernel cuDeviceGetCount cuDeviceGet cuOccupancyMaxPotentialClusterSize"
BODIES = {MAKING: "*made = made; return 0;", LOADING: "return 0;", REFUSED: "return 100;"}  # 100: no device


def load_driver(folder):
    """Where this machine has no libcuda.so.1, load one that does nothing, here and in other processes."""
    try:
        ctypes.CDLL("libcuda.so.1")
        return
    except OSError:
        source, library = folder / "driver.c", folder / "libcuda.so.1"
    text = [f"int {name}(void** made) {{ {body} }}" for names, body in BODIES.items() for name in names.split()]
    source.write_text("\n".join(text))
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", source, "-o", library], check=True)
    ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")]))


def plan(cudnn, network, precision):
    """The numbers of convolutions, of graphs and of graphs with plans; and the names of the plans."""
    program = compile_steps(network.layers, PACK)
    layout = lay_out(program, network.layers, precision, 1)
    products = {layer.index for layer in network.layers if type(layer) in WINDOWS}
    steps = [step for step in program.steps if step.task == "layer" and step.layer in products]
    machine = Machine((9, 0), 132, 227 << 10, cudnn)
    (algorithm,) = (algorithm for algorithm in FORWARD[precision] if algorithm.name == "cudnn")
    problems = dict.fromkeys(describe(step, layout) for step in steps)
    graphs = [problem for problem in problems if not algorithm.declines(problem, machine)]
    names = {problem: cudnn.names(problem) for problem in graphs}
    return [len(graphs), sum(map(bool, names.values()))], names


def main(folder, precision, *names):
    load_driver(Path(folder))
    import cudnn as library

    properties = json.dumps(H100)
    where = {"device_property": library.create_device_properties(properties)}
    for name in names:
        cudnn = Cudnn(library, "an H100", nullcontext, properties, **where)
        counts, plans = plan(cudnn, load_structure(f"{name}.cfg"), precision)
        first = next(problem for problem in plans if plans[problem])
        cudnn._planned = None  # what compiles here
        cudnn.compile_beside([(first, planned) for planned in plans[first]])
        compiled = [cudnn.plan(first, planned).workspace for planned in plans[first]]
        cudnn = Cudnn(library, "an H100", nullcontext, properties, **where)
        cudnn._compile = None  # what was compiled must come from the cache
        cudnn.compile_beside([(first, planned) for planned in plans[first]])
        assert [cudnn.plan(first, planned).workspace for planned in plans[first]] == compiled
        print(json.dumps([name, *counts, len(compiled)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
