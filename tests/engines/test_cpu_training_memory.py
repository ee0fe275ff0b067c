"""The memory of a training step: values that share it are there when they are read, and no more is taken than told."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import make_network, random_parameters
from support_guards import NAN
from support_networks import trained_networks
from support_training import mini_batch

from darknet_py.engines import compile_training
from darknet_py.engines.cpu import table as t
from darknet_py.engines.cpu.arena import address
from darknet_py.engines.cpu.builder import Table
from darknet_py.errors import CfgError
from darknet_py.layers.training import check_trainable

NETWORKS = int(os.environ.get("DARKNET_PY_NETWORKS", "60"))
CONVOLUTION = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"})


def run_alone(table, row, team):
    """Run one operation of a table."""
    call = table.call.copy()
    table.call[t.ROWS], table.call[t.TABLE] = 1, address(table.table[row:])
    table.call[t.NUMBERS_AT] = address(table.numbers[row:])
    table.run(team)
    table.call[:] = call


def single_calls(plan):
    """Each operation and each function of a step, as something to be called."""
    for call in plan.calls.all:
        if isinstance(call, Table):
            for row in range(len(call.operations)):
                yield lambda call=call, row=row: run_alone(call, row, plan.team)
        else:
            yield lambda call=call: call.call(*call.arrays)


def step_over_poison(plan, images, truths, random):
    """A step in which, at each call, all memory that nothing needs is NaN; no call may write there."""
    memory = plan.buffers.memory
    memory[:] = NAN
    buffers = [buffer for buffer in plan.buffers.all if buffer.first >= 0]
    plan._take(images, truths, random)
    for number, run in enumerate(single_calls(plan)):
        run()
        free = np.ones(len(memory), bool)
        for buffer in buffers:
            if buffer.first <= number <= buffer.last:
                assert free[buffer.place : buffer.place + buffer.size].all(), "two lie in one place"
                free[buffer.place : buffer.place + buffer.size] = False
        assert (memory[free] == NAN).all(), f"call {number} writes to what is not its own"
        for buffer in buffers:
            if buffer.last == number:
                memory[buffer.place : buffer.place + buffer.size] = NAN
    return sum(plan.losses) / len(plan.losses)


@settings(max_examples=NETWORKS, deadline=None)
@given(trained_networks(), st.sampled_from([1, 2, 3]))
def test_no_step_needs_what_was_given_to_others(network, batch):
    """The bits are the same with NaN in all free memory, and again with what the step before has left there."""
    try:
        check_trainable(network.layers, batch)
    except CfgError:
        assume(False)
    images, truths = mini_batch(network, batch)
    with np.errstate(all="ignore"):
        plans = [compile_training("cpu", network.layers, random_parameters(network.layers), batch, 1) for _ in range(2)]
        for _ in range(2):
            expected = plans[0].step(images, truths, np.random.default_rng(1))
            found = step_over_poison(plans[1], images, truths, np.random.default_rng(1))
            assert np.float64(found).tobytes() == np.float64(expected).tobytes()
        for name in ("parameters", "gradients"):
            one, other = (getattr(plan, name).values for plan in plans)
            assert one.tobytes() == other.tobytes(), name


def test_outputs_that_nobody_needs_on_the_way_back_are_not_kept():
    """Of layers of one size each: the sums are kept, for their normalization, and what the next layer multiplied."""
    size, count = 16 * 32 * 32 * 4 * 4, 10
    network = make_network((16, 32, 32), *[CONVOLUTION] * count, ("connected", {"output": 3}), ("softmax", {}))
    plan = compile_training("cpu", network.layers, random_parameters(network.layers), 4)
    assert plan.buffers.size <= (2 * count + 7) * size  # so much more: the input, two deltas, a workspace
    first_delta = min(buffer.first for buffer in plan.buffers.all if buffer.kind == "delta")
    assert sum(b.size for b in plan.buffers.all if b.first < first_delta < b.last) <= (2 * count + 3) * size


SMALL = 300_000  # bytes of arrays that do not grow with the pictures
DEFINED = {
    "dilation": [("convolutional", {"filters": 16, "size": 3, "pad": 1, "dilation": 2, "batch_normalize": 1})],
    "groups": [("convolutional", {"filters": 18, "size": 3, "pad": 1, "groups": 2, "activation": "mish"})],
    "antialiasing": [("convolutional", {"filters": 16, "size": 3, "pad": 1, "stride": 2, "antialiasing": 1})],
    "local": [("local", {"filters": 4, "size": 3, "pad": 1, "activation": "tanh"})],
    "normalization": [("normalization", {})],
    "maxpool": [("maxpool", {"size": 3, "stride": 1, "antialiasing": 1})],
    "depth": [("maxpool", {"maxpool_depth": 1, "out_channels": 4})],
    "reorg": [("reorg", {"stride": 2})],
    "upsample": [("upsample", {"stride": 2})],
    "sam": [CONVOLUTION, ("sam", {"from": -2, "activation": "logistic"})],
    "shortcut": [
        CONVOLUTION,
        ("shortcut", {"from": "-2,-1", "weights_type": "per_channel", "weights_normalization": "softmax"}),
    ],
    "crop": [("crop", {"crop_height": 30, "crop_width": 30, "flip": 1})],
    "dropout": [("dropout", {"probability": 0.5})],
    "softmax": [("softmax", {"noloss": 1})],
}


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.filterwarnings("ignore:layers that run by their definitions")
def test_numpy_takes_no_more_than_is_told(name):
    network = make_network((16, 32, 32), CONVOLUTION, *DEFINED[name], ("connected", {"output": 3}), ("softmax", {}))
    plan = compile_training("cpu", network.layers, random_parameters(network.layers), 8)
    images, truths = mini_batch(network, 8)
    tracemalloc.start()
    plan.step(images, truths, np.random.default_rng(0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    told = plan.calls.apart + plan.calls.kept_apart
    assert most <= told + SMALL
    assert plan.memory == plan.gradients.values.nbytes + plan.store.taken + plan.buffers.size + told
