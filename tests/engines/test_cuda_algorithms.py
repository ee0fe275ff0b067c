"""The lists of algorithms on a GPU: which decline and why, the order of the others, the layout of their weights."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from support import random_array

from darknet_py.engines.cuda.algorithms import (
    FORWARD,
    Machine,
    Rows,
    Taps,
    candidates,
    choose,
    find,
    most_shared,
    orders,
)
from darknet_py.engines.cuda.algorithms.cudnn_graph import UNPROPOSED, CudnnGraph
from darknet_py.engines.cuda.algorithms.depthwise import PixelTile
from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.layout import describe
from darknet_py.engines.cuda.lowering import lay_out
from darknet_py.engines.cuda.packing import PACK, STRIP, Groups
from darknet_py.engines.passes import compile_steps
from darknet_py.network import load_structure

CONVOLUTION = Convolution("float16", 1, 14, 14, 14, 14, 3, 3, 1, 1, Groups(1, 128, 256), 128, 256)
DEPTHWISE = replace(CONVOLUTION, groups=Groups(4, 32, 32), source_stride=128, target_stride=128, depthwise=True)
SPREAD = "needs groups of one channel and one filter"
PLANS = ["cudnn:eng9", "cudnn:eng4"]
FEW, MANY = UNPROPOSED["float16"]
GRAPHS = "linear, leaky, relu, relie, revleaky, logistic, mish, swish, tanh"


class Library:
    """A stand-in for cuDNN, as far as algorithms use it."""

    def names(self, problem):
        return PLANS

    def plan(self, problem, name):
        assert name in [*PLANS, *FEW]


H100 = Machine((9, 0), 132, 227 << 10)
WITH_CUDNN = replace(H100, cudnn=Library())
OLD = Machine((7, 5), 40, 64 << 10)


@pytest.mark.parametrize("machine", [H100, WITH_CUDNN, OLD], ids=["H100", "with cuDNN", "old"])
@pytest.mark.parametrize("precision", FORWARD)
def test_each_algorithm_declines_or_lists_what_it_has(precision, machine):
    if precision == "tf32" and machine is OLD:
        pytest.skip("an engine refuses it")
    problem = replace(CONVOLUTION, precision=precision)
    choices = choose(problem, machine)
    assert {choice.algorithm for choice in choices} == set(FORWARD[precision])
    assert all((choice.implementation is None) == bool(choice.reason) for choice in choices)
    able = candidates(problem, machine)
    assert able == [choice.implementation for choice in choices[: len(able)]], "those that decline come last"
    assert [choice.name for choice in choices[: len(able)]] == [choice.name for choice in able]
    cycles = [choice.cycles for choice in choices[: len(able)]]
    assert cycles == sorted(cycles)
    assert cycles[0] < inf
    modelled = sum(c < inf for c in cycles)
    assert [choice.name for choice in able[modelled:]] == (
        [*PLANS, *UNPROPOSED[precision][0]] if machine.cudnn and precision != "float32" else []
    )


def test_tensor_cores_are_taken_where_they_are():
    assert {choice.name[:20] for choice in candidates(CONVOLUTION, H100)} == {"implicit_gemm:tensor"}
    assert {choice.name[:20] for choice in candidates(CONVOLUTION, OLD)} == {"implicit_gemm:scalar"}
    told = {choice.reason for choice in choose(CONVOLUTION, H100) if choice.reason}
    assert told == {"leaves it to tensor cores", "needs cuDNN", SPREAD}
    told = {choice.reason for choice in choose(CONVOLUTION, OLD) if choice.reason}
    assert told == {
        "needs compute capability 8.0",
        "needs cuDNN",
        "needs 66560 bytes of shared memory",
        SPREAD,
    }


def test_tiles_beyond_shared_memory_are_declined():
    told = {choice.name: choice.reason for choice in choose(CONVOLUTION, replace(H100, shared_limit=99 << 10))}
    assert told["implicit_gemm:tensor_256x128"] == "needs 148480 bytes of shared memory"
    assert not told["implicit_gemm:tensor_64x64/1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"activation": "mish", "final_activation": "swish"}, ""),
        ({"activation": "elu"}, f"needs activations of {GRAPHS}"),
        ({"final_activation": "gelu"}, f"needs activations of {GRAPHS}"),
        ({"size_y": 17}, "needs windows that lie within the padded picture"),
    ],
)
def test_cudnn_declines_what_it_has_no_graph_for(changes, reason):
    assert CudnnGraph().declines(replace(CONVOLUTION, **changes), WITH_CUDNN) == reason


def test_plans_are_asked_for_by_how_many_tiles_there_are():
    def asked(problem, machine=WITH_CUDNN):
        return [choice.name for choice in CudnnGraph().implementations(problem, machine)]

    assert asked(CONVOLUTION) == [*PLANS, *FEW]
    assert asked(replace(CONVOLUTION, pictures=128)) == [*PLANS, *MANY]
    assert asked(replace(CONVOLUTION, precision="tf32")) == [*PLANS, *UNPROPOSED["tf32"][0]]
    assert asked(CONVOLUTION, replace(WITH_CUDNN, capability=(8, 0))) == PLANS


@pytest.mark.parametrize("problem", [CONVOLUTION, DEPTHWISE], ids=["dense", "depthwise"])
def test_what_is_found_by_its_name_can_still_be_had(problem):
    for choice in candidates(problem, WITH_CUDNN):
        assert find(choice.name, problem, WITH_CUDNN) == choice
    assert find("depthwise:1x4", CONVOLUTION, WITH_CUDNN) is None
    assert find("depthwise:2x4", replace(DEPTHWISE, size_y=5, size_x=5), WITH_CUDNN) is None
    assert find("cudnn:eng9", CONVOLUTION, H100) is None
    assert find("implicit_gemm:tensor_64x64/2", CONVOLUTION, OLD) is None
    assert find("another", CONVOLUTION, WITH_CUDNN) is None


@pytest.mark.parametrize("pictures", [1, 128])
@pytest.mark.parametrize("precision", FORWARD)
@pytest.mark.parametrize(("name", "count"), [("mobilenet-v2", 17), ("efficientnet_b0", 16), ("resnext50", 0)])
def test_depthwise_layers_and_no_others_are_computed_by_their_own_algorithm(name, count, precision, pictures):
    """Also where nothing is measured."""
    layers = load_structure(f"cfg/{name}.cfg").layers
    program = compile_steps(layers, PACK)
    layout = lay_out(program, layers, precision, pictures)
    steps = [step for step in program.steps if layers[step.layer].kind == "convolutional"]
    chosen = {step.layer: candidates(describe(step, layout), H100)[0] for step in steps}
    own = [index for index, choice in chosen.items() if isinstance(choice, PixelTile)]
    assert own == [index for index in chosen if layers[index].groups == layers[index].filters > 1]
    assert len(own) == count


@pytest.mark.parametrize(
    ("changes", "tiles"),
    [
        ({}, {"1x1", "1x2", "1x4", "2x4"}),
        ({"size_y": 5, "size_x": 5, "stride": 2}, {"1x1", "1x2", "1x4"}),
        ({"size_y": 4, "size_x": 4}, {"1x1"}),
        ({"size_y": 4}, {"1x1"}),
        ({"stride": 3}, {"1x1"}),
    ],
)
def test_threads_compute_several_pixels_of_windows_that_kernels_are_compiled_for(changes, tiles):
    problem = replace(DEPTHWISE, **changes)
    able = [choice for choice in candidates(problem, H100) if isinstance(choice, PixelTile)]
    assert {choice.name for choice in able} == {f"depthwise:{tile}" for tile in tiles}


def test_small_pictures_are_shared_out_to_more_threads():
    few = replace(DEPTHWISE, height=7, width=7, out_height=7, out_width=7)
    assert candidates(few, H100)[0].name == "depthwise:1x1"
    assert (
        candidates(replace(few, pictures=128), H100)[0].rows * candidates(replace(few, pictures=128), H100)[0].columns
        > 1
    )


def test_blocks_share_tiles_only_where_there_are_few():
    shared = [choice for choice in candidates(CONVOLUTION, H100) if choice.splits > 1]
    assert shared
    assert all(choice.workspace(CONVOLUTION) <= 4 * 8 * 132 * 256 * 128 for choice in shared)
    assert max(choice.count(CONVOLUTION) for choice in shared) <= most_shared(132)
    many = replace(CONVOLUTION, pictures=128, out_height=224, out_width=224)
    assert {choice.splits for choice in candidates(many, H100)} == {1}
    short = replace(CONVOLUTION, size_y=1, size_x=1, groups=Groups(1, 256, 256))
    assert short.strips == 4
    assert {choice.splits for choice in candidates(short, H100)} == {1, 2}


def test_weights_are_packed_once_in_each_order():
    few = replace(CONVOLUTION, groups=Groups(1, 8, 256))
    strips, bare = Rows("float16", few.groups, 128), Rows("float16", few.groups, 72)
    assert orders(few, H100) == [strips]
    assert orders(few, WITH_CUDNN) == [strips, bare]
    assert orders(replace(few, activation="logistic", height=1, padding=0), WITH_CUDNN) == [strips, bare]
    assert orders(CONVOLUTION, WITH_CUDNN) == [Rows("float16", CONVOLUTION.groups, 9 * 128)]


def test_only_depthwise_weights_are_packed_for_their_algorithm():
    assert orders(DEPTHWISE, H100) == [Taps(), Rows("float16", DEPTHWISE.groups, 320)]


def test_a_tap_is_a_number_of_each_filter_and_zeros():
    weights, factor = random_array((11, 1, 3, 2)), np.arange(1, 12, dtype=np.float32)
    taps = Taps().pack(weights, factor, 11)
    assert (taps.shape, taps.dtype) == ((6, 16), np.float32)
    np.testing.assert_array_equal(taps[:, :11], (weights * factor[:, None, None, None]).reshape(11, 6).T)
    assert not taps[:, 11:].any()


@pytest.mark.parametrize("groups", [1, 2])
def test_a_row_holds_a_filters_numbers_and_zeros(groups):
    weights, factor = random_array((6, 4 // groups, 3, 2)), np.arange(1, 7, dtype=np.float32)
    rows = Rows("float32", Groups(1, 8, 8), STRIP).pack(weights, factor, groups)
    assert rows.shape == (8, STRIP)
    windows = rows[:, :48].reshape(8, 3, 2, 8)
    for filter in range(6):
        first = filter // (6 // groups) * (4 // groups)
        of_group = windows[filter, :, :, first : first + 4 // groups]
        np.testing.assert_array_equal(of_group, factor[filter] * weights[filter].transpose(1, 2, 0))
    assert np.count_nonzero(rows) == np.count_nonzero(weights)
