"""What an engine refuses, and what it says where the GPU's memory does not suffice."""

from __future__ import annotations

import pytest
from host_gpu import OLD, HostGpu, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda import engine as module
from darknet_py.errors import CfgError, EngineError


class SmallGpu(HostGpu):
    """A GPU with room for a number of bytes besides what is there already."""

    room = 1 << 40

    def allocate(self, size):
        if size > self.room:
            raise MemoryError
        return super().allocate(size)

    def free_memory(self):
        return self.room


SMALL = make_network((3, 16, 16), ("convolutional", {"filters": 16, "activation": "leaky"}))


def small_engine(room):
    gpu = SmallGpu()
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")
    gpu.room = room
    return engine


def test_a_batch_beyond_the_gpus_memory_names_the_one_to_try():
    plan = small_engine(300_000).plan(SMALL.layers)
    with pytest.raises(EngineError, match=r"batch=64: takes 0\.0 GiB on host, of which 0\.0 are free; try --batch 8$"):
        plan.run(random_array((64, 3, 16, 16)))


def test_a_picture_beyond_the_gpus_memory_is_told_of():
    with pytest.raises(CfgError, match=r"a picture of 16 x 16 takes .* take the CPU: -nogpu$"):
        small_engine(1000).plan(SMALL.layers).run(random_array((1, 3, 16, 16)))


def test_weights_beyond_the_gpus_memory_are_told_of():
    gpu = SmallGpu()
    gpu.room = 100
    with pytest.raises(EngineError, match="memory does not hold the network's weights"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")


def test_a_gpu_too_full_for_a_queue_is_told_of(monkeypatch):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(HostGpu, "open_queue", refuse)
    with pytest.raises(EngineError, match="memory does not hold the network's weights"):
        small_engine(1 << 40)


def test_weights_beyond_float16_are_refused():
    parameters = random_parameters(SMALL.layers)
    parameters.views[0]["weights"][0] = 1e6
    with pytest.raises(EngineError, match="precision=float16: layer 0 has weights beyond 65504"):
        CudaEngine(SMALL.layers, parameters, HostGpu(), "float16")


def test_tf32_wants_tensor_cores():
    with pytest.raises(EngineError, match=r"precision=tf32: host has compute capability 7\.5; 8\.0 is expected"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu(OLD), "tf32")


@needs_compiler
def test_batches_of_more_numbers_than_kernels_count_run_in_parts(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 2 * 16 * 16 * 16 + 1)
    engine = small_engine(1 << 40)
    plan, batch = engine.plan(SMALL.layers), random_array((5, 3, 16, 16))
    assert plan.together == 2
    answers = plan.run(batch)
    assert [key[-1] for key in engine.executions.kept] == [2]
    assert_close(answers, run_engine("reference", SMALL.layers, random_parameters(SMALL.layers), batch), 5e-5)
    assert plan.run(batch[:0]).shape == (0, SMALL.layers[-1].shape.size)


def test_a_forked_process_is_told_that_it_cannot(monkeypatch):
    plan = small_engine(1 << 40).plan(SMALL.layers)
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    with pytest.raises(EngineError, match=r"^host: a forked process cannot use its parent's GPU; start it by .*spawn"):
        plan.run(random_array((1, 3, 16, 16)))


def test_a_picture_of_more_numbers_than_kernels_count_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 16 * 16 * 16)
    with pytest.raises(CfgError, match=r"^a picture of 16 x 16 has more numbers in a layer than the GPU counts; take "):
        small_engine(1 << 40).plan(SMALL.layers)
