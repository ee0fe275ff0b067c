"""The command `classifier try`: a layer's output for a picture."""

from __future__ import annotations

import csv
import io
import json
from functools import partial

import numpy as np
import pytest
from PIL import Image
from support import random_parameters

from darknet_py.classifier import load_network
from darknet_py.commands.try_layer import USAGE
from darknet_py.images.decode import load_image
from darknet_py.layers import REGISTRY
from darknet_py.network import load_structure
from darknet_py.weights import save_weights

CFG = """[net]
channels=3
height=6
width=8
[convolutional]
filters=2
size=3
pad=1
activation=leaky
[dropout]
[maxpool]
size=2
[connected]
output=4
activation=linear
[softmax]
[cost]
"""
MODEL = ("x.data", "x.cfg", "x.weights")


@pytest.fixture
def darknet(tmp_path, monkeypatch, darknet):
    """Run ``darknet classifier try`` in a folder with a model and a picture; return exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.cfg").write_text(CFG)
    (tmp_path / "x.data").write_text("classes=4\nnames=x.names\n")
    (tmp_path / "x.names").write_text("a\nb\nc\nd\n")
    save_weights("x.weights", random_parameters(load_structure("x.cfg").layers))
    Image.fromarray(np.random.default_rng(0).integers(255, size=(9, 14, 3), dtype=np.uint8)).save("x.png")
    return partial(darknet, "classifier", "try")


def expected(index, mode="letterbox"):
    """The layers' outputs, computed one after another by hand."""
    network = load_network("x.cfg", "x.weights", "reference")
    (value,) = network.prepare(load_image("x.png"), mode)
    value = value[None]
    for layer, parameters in list(zip(network.layers, network.parameters, strict=True))[: index + 1]:
        value = layer.forward([value], parameters)
    return value[0].reshape(network.layers[index].shape)


@pytest.mark.parametrize("layer", range(5))
def test_each_value_is_told_behind_its_channel_row_and_column(darknet, layer):
    values = expected(layer)
    code, out, err = darknet(*MODEL, "x.png", str(layer))
    assert code == 0
    assert out.splitlines() == [f"{c} {y} {x} {value!s}" for (c, y, x), value in np.ndenumerate(values)]
    size, kind = " x ".join(map(str, values.shape)), load_structure("x.cfg").layers[layer].kind
    assert kind in REGISTRY
    told = f"darknet: x.png: letterbox, 8 x 6; layer {layer} [{kind}]: {size}, least {values.min():.6g}, mean "
    assert err.splitlines()[-1].startswith(told)


def test_without_a_layer_it_is_the_one_whose_output_predict_gives(darknet):
    code, out, _ = darknet(*MODEL, "x.png")
    probabilities = load_network("x.cfg", "x.weights", "reference").classify("x.png", 4)
    assert code == 0
    assert {int(line.split()[0]): float(line.split()[3]) for line in out.splitlines()} == {
        guess.index: pytest.approx(guess.probability, abs=1e-7) for guess in probabilities
    }


def test_a_negative_layer_counts_from_the_end(darknet):
    from_the_end = darknet(*MODEL, "x.png", "-6")
    assert from_the_end == darknet(*MODEL, "x.png", "0")
    assert from_the_end[0] == 0
    assert darknet("--format", "text", *MODEL, "x.png", "-6", "--style", "lines") == from_the_end


def test_json_and_csv_tell_the_same_numbers(darknet):
    values = expected(2, "stretch")
    told = json.loads(darknet(*MODEL, "x.png", "2", "--format", "json", "--preprocess", "stretch")[1])
    np.testing.assert_array_equal(np.array(told.pop("values"), np.float32), values)
    assert told == {"file": "x.png", "width": 8, "height": 6, "preprocess": "stretch", "layer": 2, "kind": "maxpool"}
    rows = list(
        csv.DictReader(io.StringIO(darknet(*MODEL, "x.png", "2", "--format", "csv", "--preprocess", "stretch")[1]))
    )
    assert [tuple(map(int, (row["channel"], row["row"], row["column"]))) for row in rows] == list(
        np.ndindex(values.shape)
    )
    np.testing.assert_array_equal(np.array([row["value"] for row in rows], np.float32), values.ravel())


def test_values_that_are_not_finite_are_told(darknet):
    parameters = random_parameters(load_structure("x.cfg").layers)
    parameters.views[0]["weights"][1] = 3e38
    save_weights("y.weights", parameters)
    code, out, _ = darknet("x.data", "x.cfg", "y.weights", "x.png", "0")
    assert code == 0
    assert out.splitlines()[-1].split()[3] == "inf"
    told = json.loads(darknet("x.data", "x.cfg", "y.weights", "x.png", "0", "--format", "json")[1])
    assert told["values"][1][0][0] is None


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((*MODEL, "x.png", "6"), 2, "x.cfg: layer 6: it has 6 layers, from 0"),
        ((*MODEL, "x.png", "-7"), 2, "x.cfg: layer -7: it has 6 layers, from 0"),
        ((*MODEL, "x.png", "-1"), 1, "x.cfg:17: [cost]: layer 5 has no output: it is for training alone"),
        ((*MODEL, "x.png", "5"), 1, "x.cfg:17: [cost]: layer 5 has no output: it is for training alone"),
        ((*MODEL, "x.png", "last"), 2, "LAYER: last: not a number; an integer is expected"),
        ((*MODEL, "y.png"), 1, "y.png: no such file"),
        (MODEL, 2, f"x.data x.cfg x.weights: {USAGE} is expected"),
        ((*MODEL, "x.png", "1", "2"), 2, f"x.data x.cfg x.weights x.png 1 2: {USAGE} is expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(darknet, words, code, says):
    found = darknet(*words)
    assert found[:2] == (code, "")
    assert found[2].splitlines()[-1] == f"darknet: {says}"
