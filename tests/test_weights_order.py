"""Weights files whose arrays are in another order, are shared, or belong to layers of AlexeyAB's fork."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network, random_array, random_parameters, run_engine

from darknet_py import surgery
from darknet_py.errors import CfgError
from darknet_py.parameters import Parameters, share
from darknet_py.weights import load_prefix, load_weights, save_weights

CONV = {"filters": 6, "size": 3, "pad": 1, "groups": 2, "batch_normalize": 1, "activation": "leaky"}
HEADER = 5  # words


def flipped_network(flipped):
    return make_network((4, 5, 5), ("convolutional", {**CONV, "flipped": flipped}), ("avgpool", {}))


def test_flipped_weights_lie_with_the_filters_last(tmp_path):
    """Taps x filters in the file, filters x taps here; what is saved for the same cfg has the file's order, too."""
    network, path = flipped_network(1), tmp_path / "x.weights"
    parameters = random_parameters(network.layers)
    save_weights(path, parameters)
    values = np.fromfile(path, "<f4")[HEADER:]
    weights = parameters.views[0]["weights"]
    assert (values[4 * 6 :].reshape(-1, 6) == weights.reshape(6, -1).T).all()
    loaded = load_weights(path, network)
    for found in (loaded.parameters, loaded.read_all(), load_prefix(path, network).parameters):
        assert found.values.tobytes() == parameters.values.tobytes()
    assert not loaded.parameters.values.flags.writeable


def test_flipped_weights_of_the_same_file_are_others(tmp_path):
    network, path = flipped_network(0), tmp_path / "x.weights"
    save_weights(path, random_parameters(network.layers))
    upright, flipped = (load_weights(path, flipped_network(n)).parameters.views[0]["weights"] for n in (0, 1))
    assert (flipped.reshape(6, -1).T.ravel() == upright.ravel()).all()
    assert (flipped != upright).any()


def shared_network(**options):
    shared = {**CONV, "filters": 4, "activation": "relu"}
    return make_network(
        (4, 5, 5),
        ("convolutional", shared),
        ("shortcut", {"from": "0,-1", "weights_type": "per_channel", "weights_normalization": "relu"}),
        ("convolutional", {**shared, "share_index": 0, **options}),
        ("local", {"filters": 2, "size": 3}),
        ("avgpool", {}),
    )


def test_arrays_in_file_order(tmp_path):
    """For a shortcut the input's weights come first; for a sharing layer none; for a local one biases, then places."""
    network, path = shared_network(), tmp_path / "x.weights"
    labels = [entry.label for entry in Parameters.zeros(network.layers).entries]
    assert labels[-3:] == ["layer 1 [shortcut] weights", "layer 3 [local] biases", "layer 3 [local] weights"]
    parameters = random_parameters(network.layers)
    save_weights(path, parameters)
    assert load_weights(path, network).read_all().values.tobytes() == parameters.values.tobytes()
    assert path.stat().st_size == 4 * (HEADER + 4 * 4 + 4 * 2 * 9 + 3 * 4 + 2 * 9 + 9 * 2 * 4 * 9)


def test_what_a_layer_shares_is_given_to_it_and_to_those_that_share_with_it():
    network = make_network((4, 5, 5), *[("convolutional", {**CONV, "filters": 4, **o}) for o in OPTIONS])
    arrays = [{"own": np.zeros(n)} for n in range(4)]
    taken = list(share(network.layers, arrays))
    assert [next(i for i, own in enumerate(arrays) if own is found) for found in taken] == [0, 0, 2, 0]


OPTIONS = [{}, {"share_index": 0}, {}, {"share_index": 1}]


@pytest.mark.parametrize("change", [surgery.denormalize, surgery.reset])
def test_tools_change_what_is_shared_once(change):
    network = shared_network()
    parameters = random_parameters(network.layers)
    changed = change(parameters)
    batch = random_array((2, 4, 5, 5))
    before, after = (run_engine("reference", p.layers, p, batch) for p in (parameters, changed))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_no_input_changes_through_what_another_layer_shares():
    parameters = random_parameters(shared_network().layers)
    with pytest.raises(CfgError, match="share_index=0: takes the parameters of layer 0, which would change"):
        surgery.rescale(parameters)


def test_no_signs_are_rescaled():
    parameters = random_parameters(make_network((3, 5, 5), ("convolutional", {**CONV, "groups": 1, "xnor": 1})).layers)
    with pytest.raises(CfgError, match="xnor=1: takes the signs of its input alone, which then change"):
        surgery.rescale(parameters)


def test_cross_iteration_normalization_is_turned_off_with_the_other():
    text = "[net]\nchannels=3\nheight=5\nwidth=5\n[convolutional]\nfilters=2\ncbn=1\n"
    network = make_network((3, 5, 5), ("convolutional", {"filters": 2, "cbn": 1}))
    off = surgery.set_normalization(text, network, False)
    assert off == text.replace("cbn=1", "cbn=0").replace("[convolutional]\n", "[convolutional]\nbatch_normalize=0\n")
    assert surgery.set_normalization(text, network, True) == text
