"""The CUDA engine against the layers' definitions: its own plans and kernels, on the CPU instead of a GPU."""

from __future__ import annotations

import os

import numpy as np
import pytest
from host_gpu import BOUNDS, NEW, OLD, HostGpu, check, needs_compiler
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import make_network, random_array, random_parameters
from support_networks import (
    CANCELLING,
    OTHER_LAYERS,
    cancelling_parameters,
    convolutions,
    depthwise_networks,
    networks,
    planes,
)

from darknet_py import load_network
from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.algorithms import FORWARD, Machine, candidates
from darknet_py.engines.cuda.algorithms.depthwise import TILES, PixelTile
from darknet_py.engines.cuda.algorithms.implicit_gemm import ImplicitGemm, Tiling
from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.lowering import no_kernel
from darknet_py.engines.cuda.packing import Groups, round_to
from darknet_py.images.decode import load_image
from darknet_py.layers.activations import ACTIVATIONS

NETWORKS = int(os.environ.get("DARKNET_PY_NETWORKS", "40"))


@needs_compiler
@given(convolutions(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=3 * NETWORKS // 2)
def test_convolutions_of_any_geometry(network, precision):
    check(network, precision)


DEPTHWISE = "convolutional", {"filters": 3, "groups": 3, "size": 3, "pad": 1, "activation": "leaky"}
POINTWISE = "convolutional", {"filters": 3, "size": 1, "activation": "linear"}


@needs_compiler
@example(make_network((3, 5, 7), DEPTHWISE, POINTWISE), "float16", (1, 4))
@example(make_network((3, 5, 7), POINTWISE, DEPTHWISE, ("shortcut", {"from": 0, "activation": "relu"})), "tf32", (2, 4))
@given(depthwise_networks(), st.sampled_from(list(BOUNDS)), st.sampled_from(list(TILES)))
@settings(max_examples=3 * NETWORKS // 2)
def test_depthwise_convolutions_of_any_geometry(network, precision, tile):
    """By a tile of its own algorithm, of these sizes where the window has one."""

    def consider(engine, problem, tuner):
        able = [choice for choice in candidates(problem, engine.machine) if isinstance(choice, PixelTile)]
        assert bool(able) == problem.depthwise
        of_size = [choice for choice in able if (choice.rows, choice.columns) == tile]
        return of_size or able or candidates(problem, engine.machine)[:1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CudaEngine, "consider", consider)
        execution = check(network, precision)
    own = any(isinstance(choice, PixelTile) for choice in execution.choices.values())
    assert own or any(map(no_kernel, network.layers))


@needs_compiler
@given(networks(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=NETWORKS)
def test_any_network(network, precision):
    check(network, precision)


@needs_compiler
@given(planes(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=NETWORKS)
def test_any_plane(network, precision):
    check(network, precision)


SQUEEZED = [
    pytest.param([("avgpool", {}), ("scale_channels", {"from": -2})], id="channels"),
    pytest.param([("convolutional", {"filters": 1}), ("scale_channels", {"from": -2, "scale_wh": 1})], id="cells"),
]


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("channels", [1, 3, 4, 12, 16])
@pytest.mark.parametrize("sections", SQUEEZED)
def test_channels_and_cells_are_scaled(sections, channels, precision):
    convolution = ("convolutional", {"filters": channels, "size": 3, "pad": 1, "activation": "linear"})
    *before, (kind, options) = sections
    for activation in ("linear", "swish"):
        scaling = kind, {**options, "activation": activation}
        for behind in ([], [convolution], [("route", {"layers": "0,-1"}), convolution]):
            check(make_network((3, 5, 6), convolution, *before, scaling, *behind), precision)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("filters", [1, 5, 8, 11])
def test_a_shortcut_adds_no_channels_that_are_not_there(filters, precision):
    """Past its channels a logistic convolution's output is 1/2."""
    other, last = (("convolutional", {"filters": n, "activation": "logistic"}) for n in (filters, 17))
    check(make_network((3, 5, 6), other, last, ("shortcut", {"from": 0, "activation": "leaky"})), precision)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("classes", [1, 31, 255, 257, 1000, 1024, 1025, 2600])
def test_softmax_of_more_and_of_fewer_numbers_than_threads_hold(classes, precision):
    softmax = ("softmax", {"temperature": 0.5})
    check(make_network((classes, 1, 1), softmax), precision)
    check(make_network((2 * classes, 1, 1), ("softmax", {"groups": 2}), ("activation", {})), precision)
    check(make_network((1, classes, 1), softmax, ("maxpool", {"size": 1, "stride": 1})), precision)


@needs_compiler
def test_the_mean_comes_before_an_affine_layer():
    """So in an execution of the plan's, which is kept for the next batch of that size."""
    convolution = {"filters": 18, "size": 3, "pad": 1, "activation": "leaky"}
    affine = {"filters": 21, "activation": "linear"}
    sections = ("convolutional", convolution), ("convolutional", affine), ("avgpool", {})
    check(make_network((3, 7, 6), *sections))
    check(make_network((3, 7, 6), *sections, ("softmax", {})), "float16")


@needs_compiler
def test_normalization_by_no_variance_leaves_the_bias():
    check(CANCELLING, parameters=cancelling_parameters())


CONVOLUTION = make_network(
    (24, 9, 7),
    ("convolutional", {"filters": 40, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("convolutional", {"filters": 40, "size": 3, "pad": 1, "activation": "leaky"}),
    ("shortcut", {"from": 0, "activation": "leaky"}),
)


def tilings(precision, capability):
    """Every tile that a GPU of `capability` may be given, each computed by one thread block and by three."""
    machine = Machine(capability, HostGpu.multiprocessors, HostGpu.shared_limit)
    problem = Convolution(precision, 1, 9, 7, 9, 7, 3, 3, 1, 1, Groups(1, 40, 40), 40, 40)
    tiles = [tile for tile in FORWARD[precision] if isinstance(tile, ImplicitGemm)]
    return [Tiling(tile, splits) for tile in tiles if not tile.misses(problem, machine) for splits in (1, 3)]


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "capability", "tiling"),
    [
        pytest.param(precision, capability, tiling, id=f"{precision}-{tiling.name}")
        for precision, capability in (("float32", NEW), ("tf32", NEW), ("float16", NEW), ("float16", OLD))
        for tiling in tilings(precision, capability)
    ],
)
def test_every_tile(precision, capability, tiling, monkeypatch):
    monkeypatch.setattr(CudaEngine, "consider", lambda *_: [tiling])
    execution = check(CONVOLUTION, precision, 1, capability)
    assert set(execution.choices.values()) == {tiling}


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    convolution = ("convolutional", {"filters": 9, "size": 1, "activation": activation})
    check(make_network((5, 4, 3), convolution, ("activation", {"activation": activation})), "tf32")


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("channels", [1, 4, 5, 16])
@pytest.mark.parametrize("section", [*OTHER_LAYERS, ("connected", {"output": 11, "activation": "leaky"})], ids=str)
def test_other_layers_first_between_convolutions_and_last(precision, channels, section):
    convolution = ("convolutional", {"filters": channels, "size": 1, "activation": "leaky"})
    check(make_network((3, 5, 6), convolution, section, convolution), precision)
    check(make_network((3, 5, 6), convolution, section), precision)
    kind, options = section
    if kind not in ("route", "shortcut", "sam"):
        check(make_network((channels, 5, 6), section, convolution), precision)
    if kind not in ("route", "shortcut", "sam") and "antialiasing" not in options:
        check(make_network((channels, 5, 6), section, convolution, ("shortcut", {"from": 0})), precision)


@needs_compiler
@pytest.mark.parametrize("filters", [1, 20])
def test_bfloat16_rounds_no_picture_that_a_convolution_reads(filters):
    """Differences are exact in bfloat16 although its numbers do not hold the pictures; infinity stays infinite."""
    network = make_network((3, 4, 5), ("convolutional", {"filters": filters, "size": 1, "activation": "linear"}))
    parameters = random_parameters(network.layers)
    parameters.views[0]["weights"][...] = np.reshape([1, -1, 0], (3, 1, 1))
    parameters.views[0]["biases"][...] = 0
    random = np.random.default_rng(0)
    difference = random.integers(1 << 8, size=(2, 1, 4, 5)).astype(np.float32)
    subtrahend = random.integers(1 << 14, (1 << 15) - (1 << 8), size=difference.shape).astype(np.float32)
    batch = np.concatenate([subtrahend + difference, subtrahend, subtrahend], 1) / (1 << 15)
    batch[0, 0, 0, 0] = np.inf
    answers = CudaEngine(network.layers, parameters, HostGpu(), "bfloat16").plan(network.layers).run(batch)
    expected = np.broadcast_to(batch[:, :1] - batch[:, 1:2], (2, filters, 4, 5))
    assert np.array_equal(answers.reshape(expected.shape), expected)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
def test_the_embedded_network_knows_the_star(precision):
    network = load_network("cfg/shapes.cfg", "data/shapes.weights", "reference")
    (view,) = network.prepare(load_image("data/star.png"), "letterbox")
    engine = CudaEngine(network.layers, network.parameters, HostGpu(), precision)
    answers = engine.plan(network.layers).run(view[None])
    np.testing.assert_allclose(answers, network.predict(view[None]), rtol=0, atol=BOUNDS[precision])
    assert answers.argmax() == 8


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
def test_numbers_are_rounded_alike_on_both_sides(precision):
    network = make_network((3, 16, 16), ("dropout", {}))
    batch = random_array((1, 3, 16, 16))
    batch[0, 0, 0, :4] = np.inf, -np.inf, np.nan, 0
    rounded = round_to(batch, precision)
    if precision == "bfloat16":
        rounded = (rounded.astype(np.uint32) << 16).view(np.float32)
    answers = CudaEngine(network.layers, [{}], HostGpu(), precision).plan(network.layers).run(batch)
    np.testing.assert_array_equal(answers.reshape(batch.shape), rounded.astype(np.float32))
