"""Training on the CPU gives the same bits whatever the threads, and the same sums however a batch is divided."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import make_network, random_parameters
from support_networks import trained_networks
from support_training import mini_batch

from darknet_py.engines import compile_training
from darknet_py.engines.cpu.training import plan as module
from darknet_py.errors import CfgError
from darknet_py.layers.training import check_trainable

NETWORKS = int(os.environ.get("DARKNET_PY_NETWORKS", "60"))


def train(network, images, truths, threads=1, size=None, engine="cpu", steps=2):
    """The losses, and the plan, after `steps` over all images, `size` at a time, with small updates in between."""
    size, losses = size or len(images), []
    with mock.patch.object(module, "thread_count", lambda wanted: wanted):  # as many as asked for, on any machine
        plan = compile_training(engine, network.layers, random_parameters(network.layers), size, threads)
    for step in range(steps):
        if step:
            plan.parameters.values[:] += np.float32(1e-3) * plan.gradients.values
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            with np.errstate(all="ignore"):
                losses.append(plan.step(images[part], truths[part], np.random.default_rng(start)))
    return losses, plan


def check_threads(network, batch, threads):
    images, truths = mini_batch(network, batch)
    losses, plan = train(network, images, truths)
    others, other = train(network, images, truths, threads)
    assert np.array(others).tobytes() == np.array(losses).tobytes()
    for expected, found in ((plan.gradients, other.gradients), (plan.parameters, other.parameters)):
        for entry in expected.entries:
            assert entry.find(found.values).tobytes() == entry.find(expected.values).tobytes(), entry.label


@settings(max_examples=NETWORKS, deadline=None)
@given(trained_networks(), st.sampled_from([1, 2, 3, 4, 7]), st.sampled_from([2, 3]))
def test_any_networks_bits_are_the_same_whatever_the_threads(network, batch, threads):
    try:
        check_trainable(network.layers, batch)
    except CfgError:
        assume(False)
    check_threads(network, batch, threads)


CONVOLUTION = {"size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
LARGER = make_network(  # all kinds of products, with work for many threads
    (3, 60, 60),
    ("convolutional", {"filters": 32, **CONVOLUTION}),
    ("convolutional", {"filters": 64, **CONVOLUTION}),
    ("convolutional", {"filters": 128, "size": 1, "activation": "relu"}),
    ("convolutional", {"filters": 128, "size": 1, "batch_normalize": 1}),
    ("shortcut", {"from": -2, "activation": "leaky"}),
    ("maxpool", {"size": 2, "stride": 2}),
    ("convolutional", {"filters": 64, "size": 3, "stride": 2, "pad": 1, "activation": "tanh"}),
    ("convolutional", {"filters": 64, "size": 5, "pad": 1, "groups": 2}),
    ("connected", {"output": 20, "activation": "linear"}),
    ("softmax", {}),
)


@pytest.mark.parametrize("threads", [2, 3])
def test_a_larger_networks_bits_are_the_same_whatever_the_threads(threads):
    check_threads(LARGER, 4, threads)


@settings(max_examples=NETWORKS, deadline=None)
@given(trained_networks(apart=True), st.sampled_from([(4, 2), (4, 1), (6, 3), (6, 2), (7, 1)]))
def test_subdivisions_add_up_to_the_whole_batch(network, sizes):
    batch, size = sizes
    assume(not any(layer.kind == "crop" for layer in network.layers))
    try:
        check_trainable(network.layers, size)
    except CfgError:
        assume(False)
    images, truths = mini_batch(network, batch)
    (whole,), plan = train(network, images, truths, steps=1)
    assume(np.isfinite(whole) and np.isfinite(plan.gradients.values).all())
    parts, other = train(network, images, truths, size=size, steps=1)
    assert sum(parts) == pytest.approx(whole, rel=1e-5, abs=1e-5)
    largest = max(1e-3, float(np.abs(plan.gradients.values).max()))
    for entry in plan.gradients.entries:
        expected, found = entry.find(plan.gradients.values), entry.find(other.gradients.values)
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected) + 1e-6 * largest, entry.label
