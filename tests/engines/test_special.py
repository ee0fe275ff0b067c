"""Layers with options that kernels do not know run by their definitions on every engine."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines import compile_training, open_engine
from darknet_py.engines.cpu.algorithms import choose
from darknet_py.engines.cpu.lowering import no_kernel as no_cpu_kernel
from darknet_py.engines.cpu.training.trainers import no_kernel as no_training_kernel
from darknet_py.engines.cuda.lowering import no_kernel as no_cuda_kernel
from darknet_py.engines.passes import compile_steps, decline
from darknet_py.errors import DarknetWarning
from darknet_py.layers import REGISTRY

CONV = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "activation": "leaky"})
# One use of each option that no kernel knows.
USED = {
    "convolutional": [
        {"stride_x": 2},
        {"stride_y": 2},
        {"dilation": 2},
        {"antialiasing": 1},
        {"xnor": 1},
    ],
    "maxpool": [{"size": 3, "stride_x": 2}, {"size": 3, "stride_y": 2}, {"maxpool_depth": 1}, {"antialiasing": 1}],
    "route": [{"layers": "0,1", "groups": 2}, {"layers": "0", "groups": 2, "group_id": 1}],
    "shortcut": [
        {"from": "0,0"},
        {"from": 0, "weights_type": "per_feature", "weights_normalization": "relu"},
    ],
    "softmax": [{"tree": "x.tree"}],
}
CASES = [pytest.param(kind, options, id=f"{kind} {options}") for kind, uses in USED.items() for options in uses]


@pytest.fixture
def make(tmp_path, monkeypatch):
    (tmp_path / "x.tree").write_text("a -1\n" * 8 + "b 0\n" * 8)
    monkeypatch.chdir(tmp_path)

    def make(kind, options):
        own = {**CONV[1], **options} if kind == "convolutional" else options
        behind = ("avgpool", {}) if kind == "softmax" else CONV
        return make_network((16, 8, 8), CONV, behind, (kind, own), ("activation", {"activation": "relu"}))

    return make


def test_every_option_that_no_kernel_knows_is_tried():
    """The others' `special` is empty, so that a kernel runs them."""
    extras = {(layer.kind, key) for layer in REGISTRY.values() for key in layer.extras} - {("route", "group_id")}
    used = {(kind, key) for kind, uses in USED.items() for options in uses for key in options}
    assert extras <= used


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_no_engine_takes_it_for_what_its_kernels_know(kind, options, make):
    network = make(kind, options)
    layer = network.layers[2]
    assert layer.special
    for no_kernel in (no_cpu_kernel, no_cuda_kernel, no_training_kernel):
        assert no_kernel(layer)
    assert choose(layer) == choose(layer, "bfloat16") == []
    assert decline(layer, {type(layer)}) == f"{layer.special} has no kernel"
    assert not layer.adds
    assert not layer.concatenates
    assert not layer.idle
    assert 2 in compile_steps(network.layers).running


def test_no_shortcut_joins_a_convolution_that_no_kernel_knows(make):
    layers = make_network(
        (16, 8, 8), CONV, ("convolutional", {**CONV[1], "dilation": 2}), ("shortcut", {"from": 0})
    ).layers
    assert [step.layer for step in compile_steps(layers).steps] == [0, 1, 2]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_the_cpu_answers_as_it_is_defined_and_says_so(kind, options, make):
    network = make(kind, options)
    parameters, batch = random_parameters(network.layers), random_array((3, *network.input_shape))
    with pytest.warns(DarknetWarning, match=r"layers that run by their definitions, slowly: 2 \["):
        engine = open_engine("cpu", network.layers, parameters, 1)
    expected = run_engine("reference", network.layers, parameters, batch)
    assert_close(engine.plan(network.layers).run(batch), expected, 5e-5)


def test_layers_that_share_parameters_have_kernels():
    shared = ("convolutional", {**CONV[1], "share_index": 0, "activation": "relu"})
    network = make_network((16, 8, 8), CONV, shared, shared, ("avgpool", {}), ("softmax", {}))
    parameters, batch = random_parameters(network.layers), random_array((2, *network.input_shape))
    assert not any(no_cpu_kernel(layer) or no_cuda_kernel(layer) for layer in network.layers)
    expected = run_engine("reference", network.layers, parameters, batch)
    assert_close(run_engine("cpu", network.layers, parameters, batch), expected, 5e-5)
    own = ({**arrays} if layer.parameters else {} for layer, arrays in zip(network.layers, parameters, strict=True))
    assert_close(run_engine("cpu", network.layers, own, batch), expected, 5e-5)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_gradients_of_shared_parameters_add_up(engine):
    """As if each layer had its own, of which the same are taken."""
    options = {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
    ends = [("avgpool", {}), ("softmax", {})]
    alike = [("convolutional", options)] * 2
    shared = make_network((16, 5, 5), alike[0], ("convolutional", {**options, "share_index": -1}), *ends)
    apart = make_network((16, 5, 5), *alike, *ends)
    one = random_parameters(shared.layers)
    other = type(one).zeros(apart.layers)
    for views in other.views[:2]:
        for name in views:
            views[name] = one.views[0][name]
    images, truths = random_array((4, 16, 5, 5)), np.eye(16, dtype=np.float32)[:4]
    plans = [compile_training(engine, net.layers, p, 4) for net, p in ((shared, one), (apart, other))]
    losses = [plan.step(images, truths, np.random.default_rng(0)) for plan in plans]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name in ("weights", "biases", "scales"):
        total = plans[1].gradients.views[0][name] + plans[1].gradients.views[1][name]
        np.testing.assert_allclose(plans[0].gradients.views[0][name], total, rtol=1e-3, atol=1e-4)
