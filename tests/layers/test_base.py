"""What all layers share: names, options and how earlier layers are counted."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import chain

import pytest
from conftest import ROOT
from support import make_layer

from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.layers import REGISTRY, Layer


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
    files = [path.stem for path in (ROOT / "darknet_py/layers").glob("*.py")]
    modules = [vars(import_module(f"darknet_py.layers.{name}")).values() for name in files if name != "__init__"]
    classes = [found for found in chain(*modules) if isinstance(found, type) and issubclass(found, Layer)]
    layers = {found.kind: found for found in classes if hasattr(found, "kind")}
    assert layers.items() <= REGISTRY.items()
    assert {*layers.values()} == {*REGISTRY.values()}


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


def test_options_of_training():
    layer = make_layer("convolutional", (3, 4, 4), learning_rate=0.25, stopbackward=1)
    assert (layer.rate, layer.stops) == (0.25, True)
    layer = make_layer("convolutional", (3, 4, 4))
    assert (layer.rate, layer.stops) == (1, False)


@pytest.mark.parametrize(
    ("kind", "option", "reason"),
    [
        ("avgpool", "learning_rate=x", "not a number"),
        ("avgpool", "learning_rate=-1", "at least 0 is expected"),
        ("avgpool", "stopbackward=yes", "not a number; an integer is expected"),
        ("cost", "type=ssd", "unknown; did you mean sse?"),
        ("cost", "scale=inf", "a finite number is expected"),
        ("crop", "flip=.5", "an integer is expected"),
        ("softmax", "noloss=x", "not a number; an integer is expected"),
        ("avgpool", "truth=1", "not supported in training; truth=0 is expected"),
        ("avgpool", "onlyforward=1", "not supported in training; onlyforward=0 is expected"),
        ("avgpool", "dontload=1", "not supported in training; dontload=0 is expected"),
        ("avgpool", "smooth=.1", "not supported in training; smooth=0 is expected"),
        ("crop", "saturation=1.5", "not supported in training; saturation=1 is expected"),
        ("crop", "shift=.2", "not supported in training; shift=0 is expected"),
        ("cost", "noobj=.5", "not supported in training; noobj=1 is expected"),
        ("dropout", "dropblock=1", "not supported in training; dropblock=0 is expected"),
        ("convolutional", "grad_centr=1", "not supported in training; grad_centr=0 is expected"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_training_would_do_without_is_refused_there_and_passed_over_at_inference(kind, option, reason):
    key, value = option.split("=")
    layer = make_layer(kind, (1, 1, 1), **{key: value})
    with pytest.raises(CfgError, match=re.escape(f"test.cfg:2: [{kind}] {option}: {reason}")):
        layer.check_trainable()


@pytest.mark.parametrize(
    ("kind", "option", "meant"),
    [
        ("avgpool", "learning_rat", "learning_rate"),
        ("avgpool", "stopbackwards", "stopbackward"),
        ("cost", "typ", "type"),
        ("dropout", "probabilty", "probability"),
        ("avgpool", "onlyforwards", "onlyforward"),
    ],
)
def test_what_may_be_meant_for_training_is_refused_there_and_told_at_inference(kind, option, meant):
    with pytest.warns(DarknetWarning, match=f"{option}=1: unknown option, ignored; did you mean {meant}"):
        layer = make_layer(kind, (1, 1, 1), **{option: 1})
    with pytest.raises(CfgError, match=rf"{option}=1: unknown option; did you mean {meant}\?"):
        layer.check_trainable()


def test_a_layer_as_its_section_says_can_be_trained():
    options = dict(learning_rate=0, stopbackward=1, truth=0, clip=0, name="x", stream=1)
    for kind, needed in (("avgpool", {}), ("crop", {"angle": 0, "shift": 0, "flip": 1}), ("cost", {"ratio": 0})):
        make_layer(kind, (1, 1, 1), **options, **needed).check_trainable()


def test_a_layer_without_a_gradient_cannot_be_trained(monkeypatch):
    class Still(Layer):
        kind = "still"

        def _set_up(self, source):
            return source

    monkeypatch.setitem(REGISTRY, "still", Still)
    with pytest.raises(CfgError, match=r"test.cfg:1: \[still\]: cannot be trained: no gradient is written for it"):
        make_layer("still", (1, 1, 1)).check_trainable()
