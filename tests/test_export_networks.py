"""ONNX export of random networks, at their own size and at others: onnxruntime against the definitions."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_close, own_error, random_array, random_parameters, run_engine, scale_of
from support_networks import networks

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError
from darknet_py.network import Network

pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")

from test_onnx_export import dimensions, run_onnx

from darknet_py import onnx_export

BOUND = 5e-5


def check(model, layers, parameters, seed):
    batch = random_array((2, *layers[0].input_shapes[0]), seed)
    expected = run_engine("reference", layers, parameters, batch)
    answers, bound = run_onnx(model, batch).reshape(expected.shape), BOUND
    if np.abs(answers - expected).max(initial=0) > bound * scale_of(expected):
        bound = max(bound, 20 * own_error(layers, parameters, batch, expected))
    assert_close(answers, expected, bound)


@given(networks(), st.integers(0, 99))
@settings(max_examples=int(os.environ.get("DARKNET_PY_NETWORKS", 60)), deadline=None)
def test_any_network_answers_in_onnx_as_its_layers_define(network, seed):
    parameters = random_parameters(network.layers, seed)
    check(onnx_export.make_model(network, parameters, fixed=True), network.layers, parameters, seed)
    pooled = Network([*network.sections, *parse_cfg("[avgpool]\n", "test.cfg")], "test.cfg", network.dialect)
    model = onnx_export.make_model(pooled, parameters)
    if dimensions(model)["images"][2:] == ["height", "width"]:
        _, height, width = network.input_shape
        for more in (0, 0), (1, 4), (5, 2):
            try:
                layers = pooled.layers_at(height + more[0], width + more[1])
            except CfgError:  # as where a tree has as many classes as the picture cells
                continue
            check(model, layers, parameters, seed)
