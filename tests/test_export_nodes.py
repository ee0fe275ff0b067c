"""ONNX export of layers and options of AlexeyAB's fork: what onnxruntime makes of the file, against the definitions."""

from __future__ import annotations

import re

import pytest
from support import make_network

pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")

from test_onnx_export import check_export, convolution, operators

from darknet_py import onnx_export
from darknet_py.cfg import flag
from darknet_py.layers.maxpool import MaxPool


@pytest.mark.parametrize(
    "options",
    [
        {"stride_x": 2},
        {"stride_y": 3, "groups": 2},
        {"dilation": 2},
        {"dilation": 3, "stride": 2, "batch_normalize": 1},
        {"antialiasing": 1, "stride": 2, "activation": "leaky"},
        {"antialiasing": 2, "stride": 3},
        {"cbn": 1},
        {"size": 1, "stride": 2},
    ],
    ids=str,
)
def test_convolutional(options):
    check_export(make_network((4, 7, 9), convolution(**options)))


def test_xnor():
    """On the picture itself: after another layer, rounding may flip a sign."""
    model = check_export(make_network((4, 7, 9), convolution(xnor=1, batch_normalize=1, activation="leaky")))
    assert "Where" in operators(model)


def test_shared_parameters():
    first = convolution(batch_normalize=1)
    check_export(make_network((4, 5, 6), first, convolution(batch_normalize=1, share_index=0, activation="relu")))


@pytest.mark.parametrize(
    "options",
    [
        {"size": 3, "stride_x": 2},
        {"size": 2, "stride": 2, "stride_y": 3},
        {"size": 2, "stride": 2, "antialiasing": 1},
        {"size": 3, "stride": 2, "antialiasing": 2},
        {"maxpool_depth": 1, "out_channels": 2},
        {"maxpool_depth": 1, "out_channels": 4},
    ],
    ids=str,
)
def test_maxpool(options):
    check_export(make_network((6, 7, 9), ("maxpool", options)))


@pytest.mark.parametrize(
    "options", [{"size": 3, "stride": 2}, {"size": 2, "stride": 2, "padding": 0}, {"size": 3, "stride_x": 2}], ids=str
)
def test_local_avgpool(options):
    check_export(make_network((3, 7, 9), ("local_avgpool", options)))


@pytest.mark.parametrize("options", [{"layers": "-1", "group_id": 1}, {"layers": "0,1"}], ids=str)
def test_parts_of_a_route(options):
    check_export(make_network((2, 5, 5), convolution(), convolution(filters=6), ("route", {"groups": 2, **options})))


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "leaky"},
        {"weights_type": "per_feature", "weights_normalization": "relu"},
        {"weights_type": "per_channel", "weights_normalization": "softmax"},
    ],
    ids=str,
)
def test_a_sum_of_several(options):
    """Of more channels than the first, of fewer, and of as many."""
    outputs = [convolution(filters=n) for n in (6, 3, 4, 4)]
    check_export(make_network((2, 5, 5), *outputs, ("shortcut", {"from": "0,1,2", **options})))


def test_products():
    convolved = convolution(size=1, activation="logistic")
    check_export(make_network((2, 5, 6), convolution(), ("avgpool", {}), convolved, ("scale_channels", {"from": -3})))
    cells = convolution(filters=1, activation="logistic")
    check_export(make_network((2, 5, 6), convolution(), cells, ("scale_channels", {"from": -2, "scale_wh": 1})))
    check_export(make_network((2, 5, 6), convolution(), convolved, ("sam", {"from": 0, "activation": "leaky"})))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 3, "scale": 0.5}, {"stride": -2}, {"stride": -2, "scale": 0.25}], ids=str
)
def test_upsample(options):
    check_export(make_network((3, 4, 6), ("upsample", options)))


@pytest.mark.parametrize("kind", ["reorg", "reorg3d"])
@pytest.mark.parametrize("reverse", [0, 1])
def test_reorg(kind, reverse):
    check_export(make_network((8, 4, 6), (kind, {"stride": 2, "reverse": reverse}), convolution()))


@pytest.mark.parametrize("options", [{"size": 3, "pad": 1}, {"size": 2, "stride": 2}, {"size": 1}], ids=str)
def test_local(options):
    check_export(make_network((3, 5, 6), ("local", {"filters": 2, "activation": "leaky", **options})))


@pytest.mark.parametrize("size", [2, 5])
def test_normalization(size):
    check_export(make_network((7, 4, 5), ("lrn", {"alpha": 0.02, "size": size})))


def test_logistic_and_empty():
    check_export(make_network((3, 4, 5), convolution(), ("empty", {}), ("logistic", {})))
    check_export(make_network((3, 4, 5), ("connected", {"output": 4}), ("logistic", {})))


def test_softmax_of_a_tree(tmp_path):
    (tmp_path / "x.tree").write_text("a -1\n" * 3 + "b 0\n" * 5 + "c 1\n")
    options = {"tree": tmp_path / "x.tree", "temperature": 2}
    model = check_export(make_network((3, 4, 5), ("connected", {"output": 9}), ("softmax", options)))
    assert operators(model).count("Softmax") == 3


def test_an_option_that_its_nodes_do_not_know_is_refused(monkeypatch):
    monkeypatch.setattr(MaxPool, "extras", {**MaxPool.extras, "sideways": flag()})
    network = make_network((3, 4, 5), ("maxpool", {"sideways": 1}))
    says = re.escape("test.cfg:5: [maxpool] sideways=1: cannot be exported; known are stride_x, stride_y, maxpool_d")
    with pytest.raises(onnx_export.ExportError, match=says):
        onnx_export.make_model(network, [{}])
