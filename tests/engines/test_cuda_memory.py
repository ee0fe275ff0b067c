"""How an engine manages the GPU's memory: which executions it keeps, shares and gives up."""

from __future__ import annotations

from weakref import finalize

import numpy as np
import pytest
from host_gpu import HostGpu, HostMemory, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.memory import MAX_EXECUTIONS
from darknet_py.errors import EngineError

SMALL = make_network((3, 16, 16), ("convolutional", {"filters": 16, "activation": "leaky"}))


def test_executions_are_let_go_of():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu(), "float32")
    for pictures in range(1, 2 * MAX_EXECUTIONS):
        engine.plan(SMALL.layers).execution(pictures)
    assert len(engine.executions.kept) == MAX_EXECUTIONS


def test_forks_that_are_gone_are_none_of_the_family():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu(), "float32")
    forks = [engine.fork(1) for _ in range(3)]
    assert [reference() for reference in engine._family] == [engine.executions, *(fork.executions for fork in forks)]
    del forks[1]
    assert [reference() for reference in engine._family] == [engine.executions, *(fork.executions for fork in forks)]


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
    assert [key[2] for key in engine.executions.kept] == made  # the last one was used last


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


def test_an_execution_is_given_up_for_one_that_is_needed():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), FullGpu(), "float32")
    for pictures in (2, 3):
        engine.plan(SMALL.layers).execution(pictures)
        assert [key[2] for key in engine.executions.kept] == [pictures]


@needs_compiler
def test_forks_give_up_to_each_other_what_they_do_not_use():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), FullGpu(), "float32")
    forks = [engine.fork(1), engine.fork(1)]
    plans = [fork.plan(SMALL.layers) for fork in forks]
    batch = random_array((2, 3, 16, 16))
    first = plans[0].run(batch)
    assert np.array_equal(plans[1].run(batch), first)
    assert [len(fork.executions.kept) for fork in forks] == [0, 1]
    with forks[1].executions.lock, pytest.raises(EngineError, match=r"try --batch 1$"):
        plans[0].run(batch)


def test_what_an_execution_reads_stays_as_long_as_it():
    gpu = FullGpu()
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")
    execution, room = engine.plan(SMALL.layers).execution(1), gpu.room
    del engine
    assert gpu.room == room
    del execution
    assert gpu.room == FullGpu.room
