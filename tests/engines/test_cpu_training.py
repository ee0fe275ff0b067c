"""Training on the CPU: the same loss, gradients and statistics as by the layers' definitions, whatever the network."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import make_network, random_array, random_parameters
from support_guards import guards
from support_networks import trained_networks
from support_training import mini_batch

from darknet_py.engines import compile_training
from darknet_py.errors import CfgError
from darknet_py.training.optimizer import learned_parts

NETWORKS = int(os.environ.get("DARKNET_PY_NETWORKS", "60"))
# Bounds: BOUND of a gradient's norm; besides, MOVES times what it changes by where the pictures change by their
# rounding; and FLOOR of the network's largest gradient, for one that is nothing but rounding.
BOUND, MOVES, FLOOR = 1e-4, 30, 1e-5
ROUNDING = 3e-7, -3e-7, 1e-6
KINKS = 1e-4, -1e-4  # this near to a kink, rounding may choose its side


def train_once(engine, network, batch, noise=0.0, threads=1):
    """The loss, and each parameter's gradient, or a statistic's new value."""
    parameters = random_parameters(network.layers)
    for views in parameters.views:  # a statistic is then a hundredth of the mini-batch's
        if "variances" in views:
            views["means"], views["variances"] = 0, 0
    images, truths = mini_batch(network, batch)
    images *= np.float32(1) + np.float32(noise) * random_array(images.shape, 1)
    plan = compile_training(engine, network.layers, parameters, batch, threads)
    loss = plan.step(images, truths, np.random.default_rng(1))
    arrays = {
        entry.label: entry.find((plan.read() if entry.parameter.role == "statistic" else plan.gradients).values)
        for entry in plan.gradients.entries
    }
    return loss, arrays


def _cancels(arrays):
    """Whether some channel's values differ by little more than their rounding, by which normalization then divides."""
    for label, variances in arrays.items():
        if label.endswith(" variances"):
            means = 100 * arrays[label.replace(" variances", " means")]
            if (100 * variances < 1e-4 * means**2 + 1e-6).any():
                return True
    return False


def check(network, batch, threads=1):
    with np.errstate(all="ignore"):
        loss, expected = train_once("reference", network, batch)
        assume(np.isfinite(loss) and all(np.isfinite(array).all() for array in expected.values()))
        assume(not _cancels(expected))
        moved, bent = (
            [train_once("reference", network, batch, noise)[1] for noise in noises] for noises in (ROUNDING, KINKS)
        )
        found, arrays = train_once("cpu", network, batch, threads=threads)
    assert found == pytest.approx(loss, rel=1e-4, abs=1e-4)
    floor = FLOOR * max(1, *(np.linalg.norm(array) for array in expected.values()))
    for label, array in expected.items():
        own, kinks = (max(np.linalg.norm(other[label] - array) for other in others) for others in (moved, bent))
        most = BOUND * np.linalg.norm(array) + max(MOVES * own, kinks) + floor
        assert np.linalg.norm(arrays[label] - array) <= most, label


@settings(max_examples=NETWORKS, deadline=None)
@given(trained_networks(), st.sampled_from([1, 2, 3, 4, 7]), st.sampled_from([1, 2, 3]))
def test_any_network_learns_as_its_layers_are_defined(network, batch, threads):
    try:
        compile_training("reference", network.layers, random_parameters(network.layers), batch)
    except CfgError:
        assume(False)
    check(network, batch, threads)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("frozen", [{"learning_rate": 0}, {"stopbackward": 1}])
def test_statistics_of_a_frozen_layer_stay_whoever_shares_them(engine, frozen):
    convolution = {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
    sharing = {**convolution, "share_index": 0}
    sections = [("convolutional", {**convolution, **frozen}), ("convolutional", sharing)]
    network = make_network((16, 4, 4), *sections, ("connected", {"output": 3}), ("softmax", {}))
    _, arrays = train_once(engine, network, 2)
    assert not any(array.any() for label, array in arrays.items() if label.startswith("layer 0"))


@settings(max_examples=NETWORKS // 4, deadline=None)
@given(trained_networks(), st.sampled_from([1, 2, 3]))
def test_training_reads_and_writes_its_own_memory_alone(network, batch):
    try:
        compile_training("reference", network.layers, random_parameters(network.layers), batch)
    except CfgError:
        assume(False)
    with guards():
        check(network, batch)


RESIDUAL = make_network(
    (3, 16, 16),
    ("convolutional", {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("maxpool", {"size": 2, "stride": 2}),
    ("convolutional", {"filters": 32, "size": 1, "batch_normalize": 1, "activation": "relu"}),
    ("convolutional", {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("shortcut", {"from": -3, "activation": "linear", "alpha": 0.5, "beta": 2}),
    ("route", {"layers": "-1,-3"}),
    ("convolutional", {"filters": 40, "size": 3, "stride": 2, "pad": 1, "activation": "elu"}),
    ("dropout", {"probability": 0.3}),
    ("connected", {"output": 10, "activation": "linear"}),
    ("softmax", {}),
)


@settings(deadline=None)
@given(st.sampled_from(["swish", "mish", "hard_mish", "gelu"]))
def test_slopes_that_want_the_activations_input_are_compiled_in_every_layer(activation):
    """Of sums, normalized or not, that are kept or made anew; of a value that others read as well."""
    given = {"activation": activation}
    network = make_network(
        (3, 8, 8),
        ("convolutional", {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, **given}),
        ("activation", given),
        ("convolutional", {"filters": 16, "size": 1, **given}),
        ("shortcut", {"from": 0, **given}),
        ("connected", {"output": 16, "batch_normalize": 1, **given}),
        ("connected", {"output": 5, **given}),
        ("softmax", {}),
    )
    assert compile_training("cpu", network.layers, random_parameters(network.layers), 4).defined == {}
    check(network, 4)


@settings(deadline=None)
@given(st.sampled_from([(16, 32), (32, 16)]))
def test_a_shortcut_that_scales_a_part_of_its_input_learns_by_its_definition(channels):
    first, second = ({"filters": filters, "size": 3, "pad": 1, "activation": "leaky"} for filters in channels)
    network = make_network(
        (3, 8, 8),
        ("convolutional", first),
        ("convolutional", second),
        ("shortcut", {"from": 0, "alpha": 0.5, "beta": 2}),
        ("connected", {"output": 5, "activation": "linear"}),
        ("softmax", {}),
    )
    plan = compile_training("cpu", network.layers, random_parameters(network.layers), 4)
    assert plan.defined == {2: "it scales a part of its input"}
    check(network, 4)


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            ({"size": 1, "padding": 1}, "its padding is as wide as its window"),
            ({"size": 10, "stride": 4}, "its window is larger than the picture"),
        ]
    )
)
def test_windows_that_no_compiled_code_goes_back_through_learn_by_their_definition(found):
    options, reason = found
    network = make_network(
        (3, 8, 8),
        ("convolutional", {"filters": 16, "size": 3, "pad": 1, "activation": "leaky"}),
        ("convolutional", {"filters": 16, "activation": "leaky", **options}),
        ("connected", {"output": 5, "activation": "linear"}),
        ("softmax", {}),
    )
    plan = compile_training("cpu", network.layers, random_parameters(network.layers), 4)
    assert plan.defined == {1: reason}
    check(network, 4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 24), st.integers(1, 130), st.sampled_from([1, 3, 15, 33]))
def test_connected_layers_of_any_size_are_compiled(inputs, outputs, batch):
    """At the edges of blocks, of panels, and of what is turned at a time; with and without normalization."""
    network = make_network(
        (16, 1, inputs),
        ("connected", {"output": 16 * inputs, "batch_normalize": int(batch > 2), "activation": "leaky"}),
        ("connected", {"output": outputs, "activation": "linear"}),
        ("softmax", {}),
    )
    assert compile_training("cpu", network.layers, random_parameters(network.layers), batch).defined == {}
    check(network, batch, threads=2)


def test_all_of_a_usual_network_is_compiled():
    assert compile_training("cpu", RESIDUAL.layers, random_parameters(RESIDUAL.layers), 4).defined == {}


def test_steps_follow_the_parameters_that_they_are_given():
    """Weights are packed anew before each step, gradients add up, and statistics move."""
    parameters = random_parameters(RESIDUAL.layers)
    images, truths = random_array((4, 3, 16, 16)), np.eye(10, dtype=np.float32)[:4]
    plans = [compile_training(engine, RESIDUAL.layers, parameters.copy(), 4) for engine in ("reference", "cpu")]
    for step in range(3):
        losses = []
        for plan in plans:
            losses.append(plan.step(images, truths, np.random.default_rng(step)))
            for part in learned_parts(plan.parameters):
                plan.parameters.values[part.place] += np.float32(0.01) * plan.gradients.values[part.place]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for one, other in ([plan.gradients for plan in plans], [plan.read() for plan in plans]):
        for entry in one.entries:
            expected, found = (entry.find(arrays.values) for arrays in (one, other))
            assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected), entry.label
