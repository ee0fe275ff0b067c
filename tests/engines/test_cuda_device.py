"""What is asked of CuPy, which stands in for itself here: the order of calls, and what becomes of errors."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from darknet_py.engines.cuda import device as module
from darknet_py.engines.cuda.cudnn import GraphLaunch, Plan, UnsupportedError
from darknet_py.errors import EngineError


class CudaError(Exception):
    """As CuPy's, with a status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


@pytest.fixture
def cupy(monkeypatch):
    """CuPy with one GPU, that does nothing."""
    cupy = MagicMock()
    cupy.cuda.runtime.CUDARuntimeError = cupy.cuda.driver.CUDADriverError = CudaError
    cupy.cuda.runtime.getDeviceCount.return_value = 1
    properties = {"name": b"a GPU", "major": 9, "minor": 0, "multiProcessorCount": 132}
    cupy.cuda.runtime.getDeviceProperties.return_value = properties | {"sharedMemPerBlockOptin": 227 << 10}
    cupy.cuda.nvrtc.getVersion.return_value = 12, 9
    monkeypatch.setattr(module, "_import_cupy", lambda asked: cupy)
    return cupy


class Cudnn:
    """Executes graphs, or cannot from some time on; notes whether the stream records."""

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


def test_there_are_as_many_gpus_as_there_are(cupy):
    with pytest.raises(EngineError, match=r"^gpu 1: this machine has 1; 0 is expected$"):
        module.CupyDevice(1)


def test_memory_that_does_not_suffice_is_a_memory_error(cupy):
    device = module.CupyDevice()
    cupy.cuda.Memory.side_effect = CudaError(2, "cudaErrorMemoryAllocation")
    with pytest.raises(MemoryError):
        device.allocate(1)


def test_a_gpu_has_cudnn_where_it_is_installed(cupy, monkeypatch):
    monkeypatch.setattr(module, "open_cudnn", lambda gpu, current: SimpleNamespace(gpu=gpu))
    assert module.CupyDevice().open_cudnn().gpu.startswith("a GPU, driver ")
