"""The fifteen networks' sizes and listings, and what a cfg may and may not contain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import GOLDEN
from support import FIFTEEN, RESIZABLE, Words, cfg_text, make_network

from darknet_py.cfg import Section, parse_cfg
from darknet_py.errors import CfgError, UsageError
from darknet_py.network import Network, load_structure

# Layers, operations, weights in MiB, as they were published or counted by the C program.
EXACT = {
    "alexnet": (15, 2270512192, "238.0"),
    "darknet": (17, 805142528, "27.9"),
    "vgg-16": (26, 30940528640, "527.8"),
    "extraction": (28, 8518680576, "89.5"),
    "darknet19": (27, 5581979648, "79.6"),
    "darknet19_448": (27, 22327918592, "79.6"),
    "resnet50": (70, 9741172736, "87.1"),
    "resnet152": (206, 29393682432, "219.6"),
    "densenet201": (306, 10848043008, "65.6"),
    "tiny": (23, 983048192, "4.0"),
}
# Layers and billions of operations, as published.
PUBLISHED = {
    "darknet53": (78, "18.57"),
    "resnet18": (29, "4.69"),
    "resnet34": (53, "9.52"),
    "resnet101": (138, "19.70"),
    "resnext50": (69, "10.11"),
}
CONV: Words = ("convolutional", {"filters": 4, "size": 3, "pad": 1, "stride": 2})
COST: Words = ("cost", {"type": "sse"})


@pytest.mark.parametrize("name", EXACT)
def test_operations_and_sizes_of_the_known_networks(name):
    network = load_structure(f"cfg/{name}.cfg")
    size = f"{4 * network.parameter_count / 2**20:.1f}"
    assert (len(network.layers), network.operations, size) == EXACT[name]
    assert network.outputs == 1000


@pytest.mark.parametrize("name", PUBLISHED)
def test_operations_of_the_further_networks(name):
    network = load_structure(f"cfg/{name}.cfg")
    assert (len(network.layers), f"{network.operations / 1e9:.2f}") == PUBLISHED[name]
    assert network.outputs == 1000


@pytest.mark.parametrize("name", FIFTEEN)
def test_parameters_are_as_many_as_a_weights_file_holds(name):
    made = json.loads((GOLDEN / "made_weights.json").read_text())[name]["bytes"]
    assert 4 * load_structure(f"cfg/{name}.cfg").parameter_count == made - (16 if name == "tiny" else 20)


@pytest.mark.parametrize("name", FIFTEEN)
def test_only_convolutional_networks_of_one_resolution_can_be_resized(name):
    network = load_structure(f"cfg/{name}.cfg")
    assert network.resizable == (name in RESIZABLE)


def test_listing_of_extraction_is_that_of_2016():
    lines = load_structure("cfg/extraction.cfg").describe().splitlines()
    assert lines[:2] == [
        "0: Convolutional Layer: 224 x 224 x 3 image, 64 filters -> 112 x 112 x 64 image",
        "1: Maxpool Layer: 112 x 112 x 64 image, 2 size, 2 stride",
    ]
    assert lines[25:] == [
        "25: Avgpool Layer: 7 x 7 x 1000 image",
        "26: Softmax Layer: 1000 inputs",
        "27: Cost Layer: 1000 inputs",
    ]


def test_table_of_extraction_is_that_of_2018():
    lines = load_structure("cfg/extraction.cfg").describe("table").splitlines()
    assert lines[:2] == [
        "layer     filters    size              input                output",
        "    0 conv     64  7 x 7 / 2   224 x 224 x   3   ->   112 x 112 x  64  0.236 BFLOPs",
    ]
    assert len(lines) == 29


def test_resize_shapes_every_layer_anew_and_back():
    network = load_structure("cfg/tiny.cfg")
    before = network.describe(), network.operations
    network.resize(320, 448)
    assert network.input_shape == (3, 320, 448)
    assert network.layers[0].shape == (16, 320, 448)
    assert network.layers[19].shape == (1000, 20, 28)
    assert network.outputs == 1000
    assert network.operations > before[1]
    network.resize(224, 224)
    assert (network.describe(), network.operations) == before


def test_resize_takes_whole_numbers_of_any_kind_alone():
    network = load_structure("cfg/tiny.cfg")
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        network.resize(320.0, 448)
    network.resize(np.int64(320), np.int64(448))
    assert {type(side) for side in network.input_shape} == {int}


def test_another_size_shapes_the_layers_and_parses_nothing(monkeypatch):
    network = load_structure("cfg/tiny.cfg")
    before = [layer.shape for layer in network.layers]
    monkeypatch.setattr(Section, "read", None)  # which parsing a layer's options would call
    larger = network.layers_at(320, 448)
    assert larger[0].shape == (16, 320, 448)
    assert [layer.shape for layer in network.layers] == before
    network.resize(320, 448)
    assert [layer.shape for layer in network.layers] == [layer.shape for layer in larger]


def test_a_shortcut_of_planes_that_agree_at_one_size_alone_fixes_it():
    """Computed as a sum of equal shapes, it would be silently wrong at other sizes."""
    halved = ("convolutional", {"filters": 3, "size": 3, "pad": 1, "stride": 2})
    network = make_network(
        (3, 1, 1), ("convolutional", {"filters": 3}), halved, ("shortcut", {"from": 0}), ("avgpool", {})
    )
    assert network.resizable
    with pytest.raises(CfgError, match=r"\[shortcut\]: fixes the input's size: cannot run at 2 x 2$"):
        network.resize(2, 2)
    assert network.input_shape == (3, 1, 1)


def test_resize_of_a_fixed_network_names_the_layer_that_forbids_it():
    network = load_structure("cfg/alexnet.cfg")
    reason = r"cannot run at 300 x 227 but only at 227 x 227: layer 8 \[connected\] fixes the input"
    with pytest.raises(UsageError, match=reason):
        network.resize(227, 300)
    network.resize(227, 227)  # its own size: nothing to do


def test_resize_to_nothing_or_below_a_window_is_refused_and_changes_nothing():
    network = make_network((3, 16, 16), ("convolutional", {"size": 5}), ("avgpool", {}))
    with pytest.raises(UsageError, match="cannot run at 0 x 16"):
        network.resize(16, 0)
    with pytest.raises(CfgError, match="size=5: larger than its input, 4 x 16"):
        network.resize(16, 4)
    assert network.input_shape == (3, 16, 16)
    assert network.layers[0].shape == (1, 12, 12)


def test_output_is_the_last_layer_that_is_no_cost():
    assert make_network((3, 8, 8), CONV, COST).output_layer.index == 0
    assert make_network((3, 8, 8), CONV, COST).outputs == 4 * 4 * 4
    assert make_network((3, 8, 8), COST).outputs == 3 * 8 * 8


def test_inputs_stand_for_a_picture_where_there_is_none():
    sections = [("network", {"inputs": 12}), ("connected", {"output": 5})]
    network = Network(parse_cfg(cfg_text(sections), "x.cfg"), "x.cfg")
    assert network.input_shape == (12, 1, 1)
    assert network.outputs == 5


NET = "[net]\nheight=8\nwidth=8\nchannels=3\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[conv]\nsize=3\n" + NET, "x.cfg:1: [conv]: the first section must be [net]"),
        (NET, "x.cfg:1: [net]: no layer comes after it"),
        (NET + NET, "x.cfg:5: [net]: a second [net]"),
        ("[net]\nheight=8\nchannels=3\n[cost]", "x.cfg:1: [net]: width= is missing"),
        ("[net]\nheight=0\n[cost]", "x.cfg:2: [net] height=0: at least 1 is expected"),
        ("[net]\nhieght=8\n[cost]", "x.cfg:2: [net] hieght=8: unknown option; did you mean height?"),
        (NET + "[convolutionl]", "x.cfg:5: [convolutionl]: unknown layer; did you mean [convolutional]?"),
        (NET + "[qqqq]", "x.cfg:5: [qqqq]: unknown layer"),
        (NET + "[yolo]", "x.cfg:5: [yolo]: not supported"),
        (NET + "[connected]\noutput=20000000", "x.cfg:5: [connected]: weights of 3840000000 values; at most"),
        (NET + "[convolutional]\nfilters=99999999", "x.cfg:5: [convolutional]: output of 6399999936 values"),
        ("[net]\nheight=99999\nwidth=99999\nchannels=3\n[cost]", "x.cfg:1: [net]: input of"),
        (NET + "[cost]\n" * 10_001, "x.cfg: 10001 layers; at most 10000"),
    ],
)
def test_what_is_no_network_is_refused_at_its_line(content, message):
    with pytest.raises(CfgError) as error:
        Network(parse_cfg(content, "x.cfg"), "x.cfg")
    assert str(error.value).startswith(message)


def test_keys_of_training_are_known_and_unused():
    training = "batch=128\nsteps=1,2\npolicy=poly\nmax_crop=320\nburn_in=1000\n"
    sections = parse_cfg(NET + training + "[cost]", "x.cfg")
    assert Network(sections, "x.cfg").input_shape == (3, 8, 8)
