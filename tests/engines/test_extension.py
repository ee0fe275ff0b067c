"""A layer and an activation from outside the package run on every engine, by their definitions; a message says so."""

from __future__ import annotations

import re

import numpy as np
import pytest
from host_gpu import BOUNDS, HostGpu, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.cfg import number
from darknet_py.engines import open_engine
from darknet_py.engines.cpu.inspect import plan_layers
from darknet_py.engines.cuda import CudaEngine
from darknet_py.errors import DarknetWarning
from darknet_py.layers import REGISTRY, Layer, Parameter
from darknet_py.layers.activations import ACTIVATIONS, Formula, activate
from darknet_py.layers.connected import Connected


class Centre(Layer):
    """What lies above a learned share of the mean of each picture, then an activation."""

    kind = "centre"
    options = {"share": number(1)}
    activation = "leaky"

    def _set_up(self, source):
        return source

    @property
    def parameters(self):
        return {"biases": Parameter((self.shape.channels,), "bias")}

    def forward(self, inputs, parameters):
        x = inputs[0] - np.float32(self.share) * inputs[0].mean(axis=(1, 2, 3), keepdims=True)
        return activate(self.activation, x + parameters["biases"].reshape(-1, 1, 1))


class Halved(Connected):
    """Half of the output of a connected layer."""

    kind = "halved"

    def forward(self, inputs, parameters):
        return np.float32(0.5) * super().forward(inputs, parameters)


CONVOLUTION = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"})
ODD = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "activation": "wave"})


@pytest.fixture
def network(monkeypatch):
    """With both of them first, last, within, in a route and before a shortcut."""
    monkeypatch.setitem(REGISTRY, "centre", Centre)
    monkeypatch.setitem(ACTIVATIONS, "wave", Formula(lambda x: x + np.sin(x), lambda x: 1 + np.cos(x), of="input"))
    sections = [
        ("centre", {"share": 0.5}), CONVOLUTION, ("centre", {}), ODD, ("shortcut", {"from": 1, "activation": "wave"}),
        ("route", {"layers": "2,4,3"}), ("activation", {"activation": "wave"}), ("maxpool", {"size": 2, "stride": 2}),
        ("avgpool", {}), ("connected", {"output": 7, "activation": "wave"}), ("centre", {"share": 2}),
    ]  # fmt: skip
    return make_network((3, 8, 6), *sections)


TOLD = re.escape(
    "layers that run by their definitions, slowly: 0 [centre], [centre] has no kernel;"
    " 2 [centre], [centre] has no kernel; 3 [convolutional], the activation wave has no kernel;"
    " 4 [shortcut], the activation wave has no kernel; 6 [activation], the activation wave has no kernel; and 2 more"
)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 5e-5), ("bfloat16", 0.1)])
def test_on_the_cpu(network, precision, bound):
    parameters, batch = random_parameters(network.layers), random_array((3, 3, 8, 6))
    expected = run_engine("reference", network.layers, parameters, batch)
    with pytest.warns(DarknetWarning, match=TOLD):
        engine = open_engine("cpu", network.layers, parameters, 2, precision=precision)
    assert_close(engine.plan(network.layers).run(batch), expected, bound)


def test_the_plan_says_why(network):
    reasons = {plan.layer.index: plan.reason for plan in plan_layers(network.layers) if plan.reason}
    assert reasons.keys() == {0, 2, 3, 4, 6, 9, 10}
    assert reasons[0] == "[centre] has no kernel"
    assert reasons[9] == "the activation wave has no kernel"


def test_what_a_route_alone_takes_lies_in_it(network):
    network = make_network((3, 8, 6), CONVOLUTION, ("centre", {}), ("route", {"layers": "1,0"}), CONVOLUTION)
    parameters, batch = random_parameters(network.layers), random_array((2, 3, 8, 6))
    engine = open_engine("cpu", network.layers, parameters, 2)
    actual = engine.plan(network.layers).run(batch)
    assert_close(actual, run_engine("reference", network.layers, parameters, batch), 5e-5)


def test_a_kind_of_a_layer_that_has_a_kernel_runs_by_its_own_definition(monkeypatch):
    monkeypatch.setitem(REGISTRY, "halved", Halved)
    network = make_network((3, 4, 4), ("halved", {"output": 5}), ("softmax", {}))
    parameters, batch = random_parameters(network.layers), random_array((3, 3, 4, 4))
    with pytest.warns(DarknetWarning, match=r": 0 \[halved\], \[halved\] has no kernel$"):
        engine = open_engine("cpu", network.layers, parameters, 2)
    actual = engine.plan(network.layers).run(batch)
    assert_close(actual, run_engine("reference", network.layers, parameters, batch), 1e-6)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
def test_on_a_gpu_through_the_host(network, precision):
    parameters, batch, gpu = random_parameters(network.layers), random_array((3, 3, 8, 6)), HostGpu()
    engine = CudaEngine(network.layers, parameters, gpu, precision)
    answers = engine.plan(network.layers).run(batch)
    gpu.check()
    assert engine.defined.keys() == {0, 2, 3, 4, 6, 9, 10}
    assert_close(answers, run_engine("reference", network.layers, parameters, batch), 4 * BOUNDS[precision])
