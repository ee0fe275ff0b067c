"""Parameters changed as darknet's commands change them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_close, cfg_text, make_network, own_error, random_array, random_parameters, run_engine
from support_networks import CANCELLING, cancelling_parameters, networks

from darknet_py import surgery
from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.network import Network
from darknet_py.parameters import Parameters

BOUND = 1e-5
CONV = ("convolutional", {"filters": 4, "size": 3, "activation": "leaky"})
NORMALIZED = ("convolutional", {"filters": 4, "size": 3, "batch_normalize": 1, "activation": "leaky"})
MIXED = make_network((3, 9, 8), NORMALIZED, CONV, ("connected", {"output": 5, "batch_normalize": 1}))


def text_of(network):
    """The text of a cfg of the network's sections, each on the line where it was."""
    return cfg_text(
        (section.name, {key: entry.value for key, entry in section.entries.items()}) for section in network.sections
    )


def switched(network, normalized):
    """The network with normalization everywhere or nowhere, as its changed cfg says it."""
    text = surgery.set_normalization(text_of(network), network, normalized)
    return Network(parse_cfg(text, "test.cfg"), "test.cfg", network.dialect)


def answer(network, parameters, batch):
    return run_engine("reference", network.layers, parameters, batch)


@pytest.mark.parametrize("change", [surgery.denormalize, surgery.normalize, surgery.reset])
@given(networks(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_answers_stay_whatever_is_normalized(change, network, seed):
    parameters = random_parameters(network.layers, seed)
    batch = random_array((2, *network.input_shape), seed)
    expected = answer(network, parameters, batch)
    bound = max(BOUND, 20 * own_error(network.layers, parameters, batch, expected))
    if change is not surgery.reset:
        network = switched(network, change is surgery.normalize)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        changed = change(parameters)
    assert changed.values.size == network.parameter_count
    assert_close(answer(network, changed, batch), expected, bound)


def test_layers_that_are_so_already_keep_their_parameters():
    parameters = random_parameters(MIXED.layers)
    for change, layers in ((surgery.normalize, (0, 2)), (surgery.denormalize, (1,))):
        changed = change(parameters)
        for layer in layers:
            assert all((changed.views[layer][name] == view).all() for name, view in parameters.views[layer].items())


def test_reset_leaves_normalization_that_changes_nothing():
    changed = surgery.reset(random_parameters(MIXED.layers))
    assert changed.values.size == MIXED.parameter_count
    for layer in (0, 2):
        views = changed.views[layer]
        np.testing.assert_allclose(views["scales"], 1, rtol=2e-6)
        assert (views["means"] == 0).all()
        assert (views["variances"] == 1).all()


def test_filters_that_lose_digits_without_normalization_are_told():
    with pytest.warns(DarknetWarning, match=r"^test.cfg:\d+: \[convolutional\]: [1-6] of 18 filters hardly vary"):
        surgery.denormalize(cancelling_parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surgery.denormalize(random_parameters(CANCELLING.layers))


def test_cfg_keeps_all_lines_but_those_of_normalization():
    text = """# ours
[net]
channels=3
height=8
width=8
[conv] # first
  batch_normalize = 1   # as trained
filters=2
batch_normalize=1
[maxpool]
[connected]
output=3
[softmax]
"""
    with pytest.warns(DarknetWarning, match="repeated"):
        network = Network(parse_cfg(text, "x.cfg"), "x.cfg")
    off = text.replace("  batch_normalize = 1   # as trained", "batch_normalize=0")
    assert surgery.set_normalization(text, network, False) == off
    on = text.replace("[connected]\n", "[connected]\nbatch_normalize=1\n")
    assert surgery.set_normalization(text, network, True) == on


@pytest.mark.parametrize("section", [CONV, NORMALIZED], ids=["biases", "normalized"])
def test_a_rescaled_network_answers_to_0_to_1_as_it_did_to_minus_1_to_1(section):
    network = make_network((3, 9, 8), section, ("connected", {"output": 5}))
    parameters = random_parameters(network.layers)
    before = parameters.values.copy()
    batch = np.random.default_rng(1).random((2, 3, 9, 8), np.float32)
    changed = surgery.rescale(parameters)
    assert_close(answer(network, changed, batch), answer(network, parameters, 2 * batch - 1), BOUND)
    assert (changed.views[1]["weights"] == parameters.views[1]["weights"]).all()
    assert (parameters.values == before).all()


def test_swapping_red_and_blue_is_for_swapped_pictures_and_undone_by_itself():
    network = make_network((3, 9, 8), ("maxpool", {"size": 2}), CONV, ("convolutional", {"filters": 3}), CONV)
    parameters, batch = random_parameters(network.layers), random_array((2, 3, 9, 8))
    changed = surgery.swap_red_and_blue(parameters)
    assert_close(answer(network, changed, batch[:, ::-1]), answer(network, parameters, batch), BOUND)
    assert (changed.values != parameters.values).sum() == 4 * 2 * 9
    assert (surgery.swap_red_and_blue(changed).values == parameters.values).all()


def test_networks_without_what_is_changed_are_refused():
    flat, grey = make_network((3, 2, 2), ("connected", {})), make_network((1, 9, 9), CONV)
    for change in (surgery.rescale, surgery.swap_red_and_blue):
        with pytest.raises(CfgError, match=r"^test.cfg: no \[convolutional\] layer"):
            change(Parameters.zeros(flat.layers))
    with pytest.raises(CfgError, match=r"^test.cfg:5: \[convolutional\]: its filters have 1 channels; red, green"):
        surgery.swap_red_and_blue(Parameters.zeros(grey.layers))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([("batchnorm", {}), CONV], r"^test.cfg:5: \[batchnorm\]: layer 1, the first convolution, does not take the"),
        ([("activation", {"activation": "tanh"}), CONV], r"\[activation\]: layer 1, the first convolution, does"),
        ([("maxpool", {"maxpool_depth": 1}), CONV], r"\[maxpool\]: layer 1, the first convolution, does not"),
        ([("maxpool", {"size": 3}), CONV, ("route", {"layers": 0})], r"\[route\]: takes of the picture what layer 1"),
    ],
)
@pytest.mark.parametrize("change", [surgery.rescale, surgery.swap_red_and_blue])
def test_a_convolution_that_does_not_take_the_picture_alone_is_not_changed(sections, message, change):
    network = make_network((3, 9, 8), *sections)
    with pytest.raises(CfgError, match=message):
        change(Parameters.zeros(network.layers))


def test_the_average_is_that_of_every_value():
    several = [random_parameters(MIXED.layers, seed) for seed in range(3)]
    mean = surgery.average(MIXED.layers, several)
    expected = np.mean([one.values for one in several], axis=0, dtype=np.float64)
    np.testing.assert_allclose(mean.values, expected, rtol=1e-7)
    same = surgery.average(MIXED.layers, [several[0]] * 3)
    assert (same.values == several[0].values).all()


def test_numbers_are_those_of_each_parameter(monkeypatch):
    monkeypatch.setattr(surgery, "CHUNK", 10)
    parameters = random_parameters(MIXED.layers)
    parameters.views[1]["biases"] = 3
    measured = list(surgery.measure(MIXED.layers, parameters))
    assert [(one.entry.layer.index, one.entry.name) for one in measured] == [
        (entry.layer.index, entry.name) for entry in parameters.entries
    ]
    for numbers in measured:
        values = parameters.views[numbers.entry.layer.index][numbers.entry.name].astype(np.float64)
        assert numbers.mean == pytest.approx(values.mean(), rel=1e-12)
        assert numbers.deviation == pytest.approx(values.std(), rel=1e-12)
        assert (numbers.least, numbers.most) == (values.min(), values.max())
