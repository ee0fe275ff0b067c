"""Convolutions by cuDNN: its graphs against the layers' definitions, and what is kept of its plans."""

from __future__ import annotations

import pytest
from host_cudnn import HostCudnn, needs_frontend
from host_gpu import check, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from support import make_network
from support_networks import convolutions, networks

from darknet_py.engines.cuda.cudnn import PRECISIONS, GraphChoice
from darknet_py.engines.cuda.tune import Tuner


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKNET_PY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def check_graphs(network, precision):
    """Hold graphs to the definitions, and to compute all that they can."""
    cudnn = HostCudnn()
    execution = check(network, precision, cudnn=cudnn, tuner=Tuner("host"))
    for convolution, choice in execution.choices.items():
        assert isinstance(choice, GraphChoice) == cudnn.supports(convolution)
    return execution


@needs_compiler
@needs_frontend
@given(convolutions(), st.sampled_from(list(PRECISIONS)))
@settings(max_examples=120)
def test_convolutions_of_any_geometry(network, precision):
    check_graphs(network, precision)


@needs_compiler
@needs_frontend
@given(networks(), st.sampled_from(list(PRECISIONS)))
@settings(max_examples=60)
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
