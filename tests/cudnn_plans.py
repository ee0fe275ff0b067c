"""Which convolutions cuDNN plans for an H100, asked without a GPU: python tests/cudnn_plans.py FOLDER PRECISION CFG...

Prints for each network how many convolutions have a graph, how many of these cuDNN has plans for, and what became of
compiling the first one's plans twice, the second time from the cache. FOLDER is for a driver that does nothing.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from darknet_py.engines.cuda.cudnn import Cudnn
from darknet_py.engines.cuda.launches import Layout, describe
from darknet_py.engines.cuda.packing import PACK
from darknet_py.engines.passes import compile_steps
from darknet_py.layers.connected import Connected
from darknet_py.layers.convolutional import Convolutional
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
# What cuDNN asks of the driver: functions that make something, others that load kernels, and those that want a GPU.
MAKING = "cuLibraryLoadData cuLibraryLoadFromFile cuLibraryGetKernel cuKernelGetFunction cuModuleLoadData "
MAKING += "cuModuleGetFunction"
LOADING = "cuLibraryUnload cuModuleUnload cuKernelSetAttribute cuKernelGetAttribute cuTensorMapEncodeIm2col "
LOADING += "cuTensorMapEncodeTiled"
REFUSED = "cuGetErrorString cuGetErrorName cuCtxGetCurrent cuCtxGetLimit cuCtxPopCurrent cuCtxPushCurrent "
REFUSED += "cuStreamGetCtx cuDriverGetVersion cuLinkCreate cuLinkAddData cuLinkComplete cuLinkDestroy cuLaunchKernel "
REFUSED += "cuLaunchKernelEx cuLaunchCooperativeKernel cuDeviceGetCount cuDeviceGet cuOccupancyMaxPotentialClusterSize"
BODIES = {MAKING: "*made = made; return 0;", LOADING: "return 0;", REFUSED: "return 100;"}  # 100: no device


def load_driver(folder):
    """Load a libcuda.so.1 that does nothing, where this machine has none."""
    try:
        ctypes.CDLL("libcuda.so.1")
        return
    except OSError:
        source, library = folder / "driver.c", folder / "libcuda.so.1"
    text = [f"int {name}(void** made) {{ {body} }}" for names, body in BODIES.items() for name in names.split()]
    source.write_text("\n".join(text))
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", source, "-o", library], check=True)
    ctypes.CDLL(library, ctypes.RTLD_GLOBAL)


def plan(cudnn, network, precision):
    """How many convolutions, graphs and planned ones there are; and the planned ones' choices."""
    program = compile_steps(network.layers, PACK)
    layout = Layout(program, network.layers, precision, 1)
    products = {layer.index for layer in network.layers if isinstance(layer, (Convolutional, Connected))}
    steps = [step for step in program.steps if step.task == "layer" and step.layer in products]
    graphs = [*filter(cudnn.supports, dict.fromkeys(describe(step, layout) for step in steps))]
    choices = {convolution: cudnn.candidates(convolution) for convolution in graphs}
    return [len(graphs), sum(map(bool, choices.values()))], choices


def main(folder, precision, *names):
    load_driver(Path(folder))
    import cudnn as library

    where = {"device_property": library.create_device_properties(json.dumps(H100))}
    for name in names:
        cudnn = Cudnn(library, "an H100", nullcontext, **where)
        counts, choices = plan(cudnn, load_structure(f"{name}.cfg"), precision)
        first = next(convolution for convolution in choices if choices[convolution])
        compiled = [cudnn.plan(first, choice).workspace for choice in choices[first]]
        cudnn = Cudnn(library, "an H100", nullcontext, **where)
        cudnn._compile = None  # what was compiled must come from the cache
        assert [cudnn.plan(first, choice).workspace for choice in choices[first]] == compiled
        print(json.dumps([name, *counts, len(compiled)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
