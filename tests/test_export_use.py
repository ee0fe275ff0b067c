"""What an exported file says of its own use: names, preprocessing, dialect."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT
from support import make_network, random_parameters

from darknet_py.cli import main
from darknet_py.layers import ALEXEYAB
from darknet_py.network import load_structure
from darknet_py.weights import save_weights

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx")

from darknet_py import onnx_export  # noqa: E402

NET = "[net]\nchannels=3\nheight=5\nwidth=6\n"
POOLED = NET + "[convolutional]\nfilters=2\n[avgpool]\n"


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a network of two classes, its weights, and what names its classes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.cfg").write_text(POOLED)
    (tmp_path / "x.names").write_text("Löwe\nmaus\n")
    (tmp_path / "x.data").write_text("classes=2\nnames=x.names\npreprocess=center-crop\n")
    save_weights("x.weights", random_parameters(load_structure("x.cfg").layers))
    return tmp_path


def test_names_and_preprocessing_are_those_of_the_data_file(folder):
    assert main(["export", "x.data", "x.cfg", "x.weights", "x.onnx", "--dialect", "alexeyab"]) == 0
    found = metadata("x.onnx")
    assert json.loads(found.pop("names")) == ["Löwe", "maus"]
    assert found == {
        "dialect": "alexeyab",
        "input": "RGB in 0..1",
        "width": "6",
        "height": "5",
        "preprocess": "center-crop",
    }


def test_without_a_data_file_a_network_of_other_classes_has_no_names(folder):
    assert main(["export", "x.cfg", "x.weights", "x.onnx"]) == 0
    assert metadata("x.onnx")["preprocess"] == "shorter"
    assert "names" not in metadata("x.onnx")
    assert main(["export", "--fixed", "x.cfg", "x.weights", "x.onnx"]) == 0
    assert metadata("x.onnx")["preprocess"] == "letterbox"


@pytest.mark.parametrize("out", ["x.data", "x.cfg", "./x.weights", "x.names"])
def test_no_file_that_is_exported_is_replaced(folder, capsys, out):
    before = (folder / out).read_bytes()
    assert main(["export", "x.data", "x.cfg", "x.weights", out]) == 2
    assert f"darknet: OUT {out}: a name that ends in .onnx is expected" in capsys.readouterr().err
    assert (folder / out).read_bytes() == before


def test_names_of_another_network_are_refused(folder, capsys):
    (folder / "x.data").write_text("classes=1\nnames=x.names\n")
    assert main(["export", "x.data", "x.cfg", "x.weights", "x.onnx"]) == 1
    assert "classes: 1, but x.cfg has 2 outputs" in capsys.readouterr().err
    assert not (folder / "x.onnx").exists()


def test_a_packaged_network_has_its_own_names(folder):
    assert main(["export", "shapes", "x.onnx"]) == 0
    names = (ROOT / "data" / "shapes.names").read_text().split()
    assert json.loads(metadata("x.onnx")["names"]) == names


@pytest.mark.parametrize(
    ("shape", "use"),
    [
        ((1, 5, 6), {"input": "grey in 0..1", "width": "6", "height": "5", "preprocess": "letterbox"}),
        ((7, 1, 1), {"input": "numbers", "width": "1", "height": "1", "preprocess": "letterbox"}),
    ],
)
def test_inputs_are_told_apart(shape, use):
    network = make_network(shape, ("connected", {"output": 4}), dialect=ALEXEYAB)
    assert onnx_export.tell_use(network, (), "letterbox") == {"dialect": "alexeyab", **use}


def test_a_hierarchy_names_parents(folder):
    (folder / "x.tree").write_text("a -1\nb -1\nc 0\n")
    network = make_network((3, 5, 6), ("connected", {"output": 3}), ("softmax", {"tree": "x.tree"}))
    model = onnx_export.make_model(network, random_parameters(network.layers))
    assert {entry.key: entry.value for entry in model.metadata_props}["parents"] == "[-1, -1, 0]"
