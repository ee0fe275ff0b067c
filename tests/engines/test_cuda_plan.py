"""What an engine refuses, and how it keeps house with the GPU's memory."""

from __future__ import annotations

from weakref import finalize

import numpy as np
import pytest
from host_gpu import OLD, HostGpu, HostMemory, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda import plan as module
from darknet_py.errors import CfgError, EngineError


class SmallGpu(HostGpu):
    """A GPU with room for so many bytes besides what is there already."""

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
    assert [key[-1] for key in engine.executions] == [2]
    assert_close(answers, run_engine("reference", SMALL.layers, random_parameters(SMALL.layers), batch), 5e-5)
    assert plan.run(batch[:0]).shape == (0, SMALL.layers[-1].shape.size)


def test_gpus_before_compute_capability_7_are_refused():
    with pytest.raises(EngineError, match=r"host has compute capability 6\.1; 7\.0 is expected; take the CPU: -nogpu"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu((6, 1)), "float32")


def test_executions_are_let_go_of():
    engine = small_engine(1 << 40)
    for pictures in range(1, 2 * module.MAX_EXECUTIONS):
        engine.execution(SMALL.layers, pictures)
    assert len(engine.executions) == module.MAX_EXECUTIONS


@needs_compiler
@pytest.mark.parametrize(("pictures", "times", "made"), [(4, 2, [8, 5]), (2, 1, [8, 5]), (2, 2, [8, 5, 2])])
def test_a_smaller_batch_is_served_by_what_there_is_for_a_larger_one(pictures, times, made):
    parameters = random_parameters(SMALL.layers)
    engine = CudaEngine(SMALL.layers, parameters, HostGpu(), "float32")
    plan = engine.plan(SMALL.layers)
    for larger in (5, 8):
        plan.run(random_array((larger, 3, 16, 16)))
    batch = random_array((pictures, 3, 16, 16), 1)
    expected = run_engine("reference", SMALL.layers, parameters, batch)
    for _ in range(times):
        assert_close(plan.run(batch), expected, 5e-5)
    assert [key[2] for key in engine.executions] == made  # the last one was used last


class FullGpu(HostGpu):
    """A GPU with room for one execution of 2 pictures of SMALL."""

    room = 140_000

    def allocate(self, size):
        if size > self.room:
            raise MemoryError
        memory = HostMemory(size)
        self.room -= size
        finalize(memory, self.free, size)
        return memory

    def free(self, size):
        self.room += size

    def free_memory(self):
        return self.room


@needs_compiler
def test_forks_give_up_to_each_other_what_they_do_not_use():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), FullGpu(), "float32")
    forks = [engine.fork(1), engine.fork(1)]
    plans = [fork.plan(SMALL.layers) for fork in forks]
    batch = random_array((2, 3, 16, 16))
    first = plans[0].run(batch)
    assert np.array_equal(plans[1].run(batch), first)
    assert [len(fork.executions) for fork in forks] == [0, 1]
    with forks[1].lock, pytest.raises(EngineError, match=r"try --batch 1$"):
        plans[0].run(batch)


def test_what_an_execution_reads_stays_as_long_as_it():
    gpu = FullGpu()
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")
    execution, room = engine.execution(SMALL.layers, 1), gpu.room
    del engine
    assert gpu.room == room
    del execution
    assert gpu.room == FullGpu.room
