"""What all layers share: names, options and how earlier layers are counted."""

from __future__ import annotations

import pytest
from support import make_layer

from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.layers import LAYERS, REGISTRY


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("conv", "convolutional"),
        ("conn", "connected"),
        ("max", "maxpool"),
        ("avg", "avgpool"),
        ("soft", "softmax"),
    ],
)
def test_short_names_mean_the_same_layer(short, long):
    assert REGISTRY[short] is REGISTRY[long]


def test_every_layer_is_found_by_its_kind():
    assert {layer.kind: layer for layer in LAYERS}.items() <= REGISTRY.items()


def test_layer_takes_the_output_before_it():
    layer = make_layer("dropout", (1, 2, 2), (3, 4, 4), (5, 6, 6))
    assert (layer.index, layer.inputs, layer.input_shapes) == (2, (1,), ((5, 6, 6),))


def test_first_layer_takes_the_networks_input():
    assert make_layer("dropout", (1, 2, 2)).inputs == (-1,)


def test_keys_of_training_are_passed_over_and_others_reported():
    make_layer("convolutional", (3, 4, 4), learning_rate=0.1, dontload=1)
    with pytest.warns(DarknetWarning, match=r"zzz=1: unknown option, ignored"):
        make_layer("convolutional", (3, 4, 4), zzz=1)
    with pytest.raises(CfgError, match=r"fliters=4: unknown option; did you mean filters\?"):
        make_layer("convolutional", (3, 4, 4), fliters=4)


def test_printed_form_names_index_options_and_shape():
    layer = make_layer("convolutional", (3, 4, 4), filters=2)
    assert repr(layer) == "<0 [convolutional] filters=2 -> 2x4x4>"
