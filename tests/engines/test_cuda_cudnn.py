"""Convolutions by cuDNN: its graphs against the layers' definitions, and what it plans."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from host_cudnn import HostCudnn, needs_frontend
from host_gpu import BOUNDS, check, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from support import make_network
from support_networks import convolutions, networks

from darknet_py.engines.cuda.algorithms import FORWARD
from darknet_py.engines.cuda.algorithms.cudnn_graph import CudnnGraph
from darknet_py.engines.cuda.cudnn import (
    PRECISIONS,
    Plan,
)
from darknet_py.engines.cuda.tune import Tuner
from darknet_py.errors import DarknetWarning


@pytest.fixture(autouse=True, scope="module")
def shared_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKNET_PY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    return tmp_path


GRAPH = CudnnGraph()


def check_graphs(network, precision):
    """Compare graphs with the definitions, and assert that they compute all that they can."""
    cudnn = HostCudnn()
    execution = check(network, precision, tuner=Tuner("host", cudnn))
    machine = replace(execution.machine, cudnn=cudnn)
    for convolution, choice in execution.choices.items():
        can = GRAPH in FORWARD[precision] and not GRAPH.declines(convolution, machine)
        assert (choice.algorithm == GRAPH) == can
    return execution


CONVOLUTIONAL = "convolutional", {"filters": 8, "size": 3, "pad": 1, "activation": "leaky"}
NETWORK = make_network((256, 6, 6), CONVOLUTIONAL)
LONGER = make_network((256, 6, 6), CONVOLUTIONAL, CONVOLUTIONAL)


def choose(cudnn):
    """An engine's choices for NETWORK."""
    execution = check(NETWORK, "float16", tuner=Tuner("choose", cudnn))
    (choice,) = execution.choices.values()
    return choice


@needs_compiler
@needs_frontend
def test_plans_that_fail_are_not_chosen_and_the_fastest_is_remembered(cache):
    cudnn = HostCudnn("cudnn:undone", "cudnn:broken", "cudnn:host", "cudnn:other")
    assert choose(cudnn).name == "cudnn:host"
    assert {"cudnn:undone", "cudnn:broken", "cudnn:other"} <= set(cudnn.refused)
    assert "cudnn:host" not in cudnn.refused
    later = HostCudnn("cudnn:other", "cudnn:host")
    assert choose(later).name == "cudnn:host"
    assert not later.refused
    assert choose(HostCudnn("cudnn:other")).name == "cudnn:other"


@needs_compiler
@needs_frontend
@pytest.mark.parametrize("network", [NETWORK, LONGER], ids=["known", "with another to be measured"])
def test_a_plan_that_fails_later_is_done_without(network, cache):
    cudnn = HostCudnn("cudnn:host")
    tuner = Tuner("later", cudnn)
    check(NETWORK, "float16", tuner=tuner)
    for key in cudnn.plans:
        cudnn.plans[key] = Plan(None, 0)
    with pytest.warns(DarknetWarning, match=r"^not executed; kernels without cuDNN are used$"):
        execution = check(network, "float16", tuner=tuner)
    assert next(iter(execution.choices.values())).certain
    assert execution.workspace.size == 1


@needs_compiler
@needs_frontend
@given(convolutions(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=60)
def test_convolutions_of_any_geometry(network, precision):
    check_graphs(network, precision)


@needs_compiler
@needs_frontend
@given(networks(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=30)
def test_any_network(network, precision):
    check_graphs(network, precision)


@needs_compiler
@needs_frontend
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_added_may_lie_within_a_wider_value(precision):
    convolution = "convolutional", {"filters": 24, "size": 3, "pad": 1, "activation": "leaky"}
    network = make_network(
        (8, 9, 7),
        convolution,
        convolution,
        ("route", {"layers": "0,1"}),
        convolution,
        ("shortcut", {"from": 0, "activation": "leaky"}),
    )
    execution = check_graphs(network, precision)
    (added,) = (convolution for convolution in execution.choices if convolution.residual_stride)
    assert (added.residual_stride, added.target_stride, added.final_activation) == (48, 24, "leaky")


@needs_compiler
@needs_frontend
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_connected_layers_window_is_the_whole_picture(precision):
    network = make_network((16, 6, 4), ("connected", {"output": 24, "activation": "relu"}))
    (connected,) = check_graphs(network, precision).choices
    assert (connected.size_y, connected.size_x) == (6, 4)


@needs_frontend
@pytest.mark.slow
@pytest.mark.skipif(
    not Path(sysconfig.get_path("purelib"), "nvidia", "cudnn").is_dir(), reason="nvidia-cudnn-cu12 is not installed"
)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_cudnn_plans_every_convolution_of_the_networks(precision, tmp_path):
    names = ["tiny", "alexnet", "darknet19", "resnet50", "resnext50", "densenet201"]
    command = [sys.executable, ROOT / "tests" / "cudnn_plans.py", tmp_path, precision, *names]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for line in ran.stdout.splitlines():
        name, graphs, planned, compiled = json.loads(line)
        assert graphs == planned > 0, name
        assert compiled > 0, name
    assert len(ran.stdout.splitlines()) == len(names)
