"""The use of CuPy, for which there is a stand-in here: the order of calls, and what becomes of errors."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from darknet_py.engines.cuda import device as module
from darknet_py.engines.cuda.cudnn import GraphLaunch, Plan, UnsupportedError
from darknet_py.engines.cuda.kernels import Launch, kernel_of, structure_dtype
from darknet_py.errors import DarknetWarning, EngineError


class CudaError(RuntimeError):
    """An error like CuPy's, with a status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


@pytest.fixture
def cupy(monkeypatch):
    """A stand-in for CuPy with one GPU, which does nothing."""
    cupy = MagicMock()
    cupy.cuda.runtime.CUDARuntimeError = cupy.cuda.driver.CUDADriverError = CudaError
    cupy.cuda.runtime.getDeviceCount.return_value = 1
    properties = {"name": b"a GPU", "major": 9, "minor": 0, "multiProcessorCount": 132}
    cupy.cuda.runtime.getDeviceProperties.return_value = properties | {"sharedMemPerBlockOptin": 227 << 10}
    cupy.cuda.runtime.driverGetVersion.return_value = 12080
    cupy.cuda.nvrtc.getVersion.return_value = 12, 9
    cupy.cuda.nvrtc.getSupportedArchs.return_value = 70, 90
    monkeypatch.setattr(module, "_import_cupy", lambda asked: cupy)
    return cupy


class Cudnn:
    """Executes graphs, or from some time on fails to; notes whether the stream is recording."""

    def __init__(self, stream, failing=1 << 30):
        self.stream, self.failing = stream, failing
        self.recorded = []

    def open_handle(self, owner, stream):
        return "handle"

    def execute(self, launch, handle):
        recording = self.stream.begin_capture.called
        self.recorded.append(recording)
        if len(self.recorded) >= self.failing:
            raise UnsupportedError("not executed")


def record(cupy, failing=1 << 30):
    """Record two graphs."""
    cudnn = Cudnn(cupy.cuda.Stream.return_value, failing)
    queue = module.CupyDevice().open_queue()
    queue.record([GraphLaunch(cudnn, Plan(None, 0), {}, 0) for _ in range(2)])
    return cudnn


def test_graphs_run_once_before_they_are_recorded(cupy):
    stream = cupy.cuda.Stream.return_value
    assert record(cupy).recorded == [False, False, True, True]
    stream.end_capture.assert_called_once()
    stream.end_capture.return_value.upload.assert_called_once()


def test_a_graph_that_does_not_run_is_not_recorded(cupy):
    with pytest.raises(UnsupportedError, match=r"^not executed$"):
        record(cupy, failing=2)
    cupy.cuda.Stream.return_value.begin_capture.assert_not_called()


def test_what_fails_while_recording_is_told_and_ends_the_recording(cupy):
    stream = cupy.cuda.Stream.return_value
    stream.end_capture.side_effect = CudaError(901, "the capture is invalidated")
    with pytest.raises(UnsupportedError, match=r"^not executed$"):
        record(cupy, failing=3)
    stream.end_capture.assert_called_once()


def launch(kernel):
    return Launch(kernel, (1, 1), np.zeros(1, structure_dtype(kernel.structure)))


KERNELS = [kernel_of("max_pool", "float", lanes) for lanes in (4, 8)]


def test_kernels_of_a_recording_are_compiled_together_and_each_once(cupy, monkeypatch):
    together, compiled = Barrier(len(KERNELS), timeout=20), []

    def load_compiled(nvrtc, kernel, architecture):
        if not compiled:
            together.wait()
        compiled.append((kernel, architecture))
        return b"code of " + kernel.name.encode()

    monkeypatch.setattr(module, "load_compiled", load_compiled)
    monkeypatch.setattr(module, "core_count", lambda: len(KERNELS))
    queue = module.CupyDevice().open_queue()
    for _ in range(2):
        queue.record([launch(kernel) for kernel in KERNELS * 2])
    assert sorted(compiled, key=str) == [(kernel, "sm_90") for kernel in KERNELS]
    loaded = [call.args[0] for call in cupy.cuda.function.Module.return_value.load.call_args_list]
    assert loaded == [b"code of " + kernel.name.encode() for kernel in KERNELS]


def test_threads_that_want_the_same_kernels_compile_each_once(cupy, monkeypatch):
    compiled, begun = [], Barrier(4, timeout=20)

    def load_compiled(nvrtc, kernel, architecture):
        compiled.append(kernel)
        time.sleep(0.05)
        return b"code"

    monkeypatch.setattr(module, "load_compiled", load_compiled)
    device = module.CupyDevice()

    def record(_):
        begun.wait()
        device.open_queue().record([launch(kernel) for kernel in KERNELS])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(record, range(4)))
    assert sorted(compiled, key=str) == KERNELS
    assert not device._compiled


def test_a_kernel_that_does_not_compile_ends_the_compiling_of_others(cupy, monkeypatch):
    ended, asked = Event(), []

    def load_compiled(nvrtc, kernel, architecture):
        asked.append(kernel)
        if len(asked) == 1:
            raise EngineError("NVRTC cannot compile it")
        ended.wait(20)

    monkeypatch.setattr(module, "load_compiled", load_compiled)
    monkeypatch.setattr(module, "core_count", lambda: 1)
    shutdown = ThreadPoolExecutor.shutdown

    def shut_down(pool, wait=True, *, cancel_futures=False):
        if cancel_futures:
            shutdown(pool, wait=False, cancel_futures=True)
            ended.set()
        shutdown(pool, wait)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shut_down)
    kernels = [kernel_of("max_pool", "float", lanes) for lanes in range(100)]
    with pytest.raises(EngineError, match=r"^NVRTC cannot compile it$"):
        module.CupyDevice().compile(kernels)
    assert len(asked) <= 2


@pytest.mark.parametrize("place", ["runtime.setDevice", "runtime.getDeviceProperties", "Memory", "runtime.memset"])
@pytest.mark.parametrize("status", [2, 999])
def test_a_gpu_that_does_not_work_is_one_line(cupy, place, status):
    function = cupy.cuda
    for name in place.split("."):
        function = getattr(function, name)
    function.side_effect = CudaError(status, "cudaError: out of order\nand more")
    with pytest.raises(EngineError) as caught:
        module.CupyDevice()
    assert str(caught.value) == "engine=cuda: no GPU can be used: cudaError: out of order; take the CPU: -nogpu"


def refuse(*_):
    raise RuntimeError("libnvrtc.so: not found\nanywhere")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"getVersion": refuse}, r"libnvrtc\.so: not found; CuPy 14 or later is expected: pip install cupy-cuda12x .*"),
        ({"getVersion": lambda: (13, 0)}, r"CuPy finds NVRTC 13\.0, and the driver is one of CUDA 12, .*"),
        ({"getSupportedArchs": lambda: (100, 120)}, r"a GPU has compute capability 9\.0, for which this NVRTC .*"),
    ],
    ids=["none", "newer than the driver", "newer than the GPU"],
)
def test_a_compiler_that_does_not_fit_is_one_line(cupy, changed, reason):
    for name, function in changed.items():
        setattr(cupy.cuda.nvrtc, name, function)
    with pytest.raises(EngineError, match=rf"^engine=cuda: no GPU can be used: {reason}; take the CPU: -nogpu$"):
        module.CupyDevice()


def test_gpus_before_compute_capability_7_are_refused(cupy):
    cupy.cuda.runtime.getDeviceProperties.return_value |= {"major": 6, "minor": 1}
    with pytest.raises(EngineError, match=r": a GPU has compute capability 6\.1; 7\.0 is expected; take the CPU: "):
        module.CupyDevice()


def test_of_several_gpus_those_that_cannot_be_used_are_told_with_the_others(cupy):
    usable = cupy.cuda.runtime.getDeviceProperties.return_value
    cupy.cuda.runtime.getDeviceCount.return_value = 3
    cupy.cuda.runtime.getDeviceProperties.side_effect = [usable, usable | {"major": 5}, usable]
    cupy.cuda.runtime.memGetInfo.return_value = 3 << 30, 4 << 30
    told = "a GPU, compute capability 9.0, 3.0 GiB free, driver 12080, nvrtc 12.9"
    first, second, third = module.tell_gpus()
    assert (first, third) == (told, told)
    assert second.startswith("gpu 1: it cannot be used: a GPU has compute capability 5.0; ")


def test_memory_of_the_host_is_not_kept_by_a_pool(cupy):
    cupy.cuda.PinnedMemoryPointer.side_effect = lambda memory, offset: bytearray(memory)
    cupy.cuda.PinnedMemory.side_effect = lambda size: size
    memory = module.CupyDevice().allocate(12)
    assert len(memory.staging) == 12
    assert memory.staging is memory.staging
    cupy.cuda.PinnedMemory.assert_called_once_with(12)
    cupy.cuda.alloc_pinned_memory.assert_not_called()


def test_nothing_is_set_up_beside_what_another_network_records(cupy):
    assert module.CupyDevice().setting_up is module.CupyDevice().setting_up


def test_cudnn_that_does_not_work_is_not_taken_for_a_gpu_that_does_not(cupy, monkeypatch):
    def fail():
        raise RuntimeError("cudnnCreate failed\nand more")

    frontend = SimpleNamespace(backend_version=lambda: 1, create_handle=fail, __version__="1.28.0")
    monkeypatch.setitem(sys.modules, "cudnn", frontend)
    with pytest.warns(DarknetWarning, match=r"^cuDNN is left out: cudnnCreate failed$"):
        assert module.CupyDevice().open_cudnn() is None


def test_there_are_as_many_gpus_as_there_are(cupy):
    with pytest.raises(EngineError, match=r"^gpu 1: this machine has 1; 0 is expected$"):
        module.CupyDevice(1)


def test_memory_that_does_not_suffice_is_a_memory_error(cupy):
    device = module.CupyDevice()
    cupy.cuda.Memory.side_effect = CudaError(2, "cudaErrorMemoryAllocation")
    with pytest.raises(MemoryError):
        device.allocate(1)


def test_a_gpu_has_cudnn_where_it_is_installed(cupy, monkeypatch):
    monkeypatch.setattr(module, "open_cudnn", lambda gpu, number, current: SimpleNamespace(gpu=gpu))
    assert module.CupyDevice().open_cudnn().gpu.startswith("a GPU, driver ")
