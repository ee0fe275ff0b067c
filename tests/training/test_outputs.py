"""The last layer's outputs, in the cfg's text and in weights of a network with others."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import random_parameters
from support_trainer import write_cfg

from darknet_py.cfg import parse_cfg
from darknet_py.classifier import load_network
from darknet_py.errors import CfgError, UsageError, WeightsError
from darknet_py.network import Network
from darknet_py.parameters import Parameters
from darknet_py.training.outputs import load_first, rewrite_cfg, with_outputs
from darknet_py.weights import save_weights

TEXT = """\
# A network
[net]
width=8
height=8
channels=3

[convolutional]   # the first
filters=4
size=3

[connected]
output = 10 ; classes
activation=linear

[softmax]
"""


@pytest.fixture
def network(tmp_path):
    (tmp_path / "x.cfg").write_text(TEXT)
    return load_network(tmp_path / "x.cfg")


def test_one_line_of_the_cfg_changes(network):
    assert rewrite_cfg(network, 10) == TEXT
    assert rewrite_cfg(network, 7) == TEXT.replace("output = 10 ; classes", "output=7")


def test_an_option_that_is_missing_is_written(tmp_path):
    text = TEXT.replace("output = 10 ; classes\n", "")
    (tmp_path / "x.cfg").write_text(text)
    changed = rewrite_cfg(load_network(tmp_path / "x.cfg"), 7)
    assert changed == text.replace("[connected]\n", "[connected]\noutput=7\n")
    assert Network(parse_cfg(changed, "x"), "x").outputs == 7


@pytest.mark.parametrize("name", ["tiny", "darknet19", "resnet50", "alexnet", "vgg-16", "densenet201", "resnext50"])
def test_the_networks_of_the_package_can_have_other_outputs(name):
    network = load_network(f"cfg/{name}.cfg")
    changed = Network(parse_cfg(rewrite_cfg(network, 12), name), name)
    assert changed.outputs == with_outputs(network, 12).outputs == 12
    assert [layer.kind for layer in changed.layers] == [layer.kind for layer in network.layers]


def test_a_network_whose_outputs_do_not_follow_is_refused(tmp_path):
    text = "[net]\nwidth=2\nheight=2\nchannels=1\n[convolutional]\nfilters=3\n[softmax]\n"
    (tmp_path / "x.cfg").write_text(text)
    network = load_network(tmp_path / "x.cfg")
    message = (
        "x.cfg:6: [convolutional] filters=3: the network has 20 outputs where this is 5; set the outputs in the cfg"
    )
    with pytest.raises(CfgError, match=re.escape(message)):
        with_outputs(network, 5)
    (tmp_path / "x.cfg").write_text("[net]\nwidth=2\nheight=2\nchannels=1\n[softmax]\n")
    with pytest.raises(UsageError, match=r"x\.cfg: no convolutional or connected layer, of which the outputs"):
        with_outputs(load_network(tmp_path / "x.cfg"), 5)


@pytest.mark.parametrize(("outputs", "filled"), [(10, 3), (3, 1), (1000, 1)])
def test_weights_of_a_network_with_other_outputs_fill_what_comes_before(network, tmp_path, outputs, filled):
    given = random_parameters(with_outputs(network, outputs).layers)
    save_weights(tmp_path / "x.weights", given)
    check_filled(network, tmp_path / "x.weights", given, filled)


def test_weights_of_the_first_layers_fill_these(network, tmp_path):
    given = random_parameters(network.layers[:1])
    save_weights(tmp_path / "x.weights", given)
    check_filled(network, tmp_path / "x.weights", given, 1)


def test_weights_that_fit_nowhere_are_refused(network, tmp_path):
    (tmp_path / "x.weights").write_bytes(bytes(4099))
    with pytest.raises(WeightsError, match=r"x\.weights: 4099 bytes"):
        load_first(tmp_path / "x.weights", network, Parameters.zeros(network.layers))
    other = load_network(write_cfg(tmp_path / "other.cfg"))
    save_weights(tmp_path / "x.weights", random_parameters(other.layers))
    with pytest.raises(WeightsError, match=r"x\.weights: "):
        load_first(tmp_path / "x.weights", network, Parameters.zeros(network.layers))


def check_filled(network, file, given, filled):
    found = Parameters.zeros(network.layers)
    assert load_first(file, network, found) == filled
    count = found.first(filled).values.size
    np.testing.assert_array_equal(found.values[:count], given.values[:count])
    assert not found.values[count:].any()
