"""Winograd's planar tiles: few channels, whole tiles whatever the sides, LANES at a time."""

from unittest import mock

import numpy as np
import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine
from support_guards import NAN

from darknet_py.engines import CPU_PRECISIONS, open_engine
from darknet_py.engines.cpu import plan
from darknet_py.engines.cpu.algorithms import choose
from darknet_py.engines.cpu.algorithms.planar_winograd import M, N, PlanarWinograd
from darknet_py.engines.cpu.isa import LANES

NAME = PlanarWinograd.name
POOL = ("maxpool", {"size": 2, "stride": 2})


def first_layer(shape, filters=LANES + 1, padding=1, activation="leaky", pool=False, before=()):
    """A network of a first layer for pictures of `shape`."""
    options = {"filters": filters, "size": 3, "padding": padding, "activation": activation, "batch_normalize": 1}
    return make_network(shape, *before, ("convolutional", options), *[POOL] * pool)


def open_plan(network, parameters, threads=1, precision="float32"):
    """The engine's plan, by planar tiles wherever these do not decline."""

    def prefer(layer, precision):
        return sorted(choose(layer, precision), key=lambda choice: choice.name != NAME or bool(choice.reason))

    with mock.patch.object(plan, "choose", prefer):
        engine = open_engine("cpu", network.layers, parameters, threads, None, precision)
        assert NAME in [choice.name for choice in engine.choices.values()]
        return engine.plan(network.layers)


def run(network, parameters, batch, threads=1, precision="float32"):
    """The answers of such a plan."""
    return open_plan(network, parameters, threads, precision).run(batch)


def check(network, seed=0, images=1, precision="float32", bound=2e-5):
    parameters, batch = random_parameters(network.layers), random_array((images, *network.input_shape), seed)
    expected = run_engine("reference", network.layers, parameters, batch)
    assert_close(run(network, parameters, batch, precision=precision), expected, bound)


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("height", range(1, M + 4))
def test_sides_of_every_rest(height, pool):
    for width in (1, 2, 3, 4, *range(M * LANES - 1, M * LANES + M + 1)):
        check(first_layer((3, height, width), pool=pool), width, 2)


@pytest.mark.parametrize("channels", range(1, LANES))
def test_any_number_of_channels_below_a_blocks(channels):
    check(first_layer((channels, 9, 21)), channels)


@pytest.mark.parametrize("padding", [0, 1, 2, 3])
@pytest.mark.parametrize("width", [5, LANES - 1, LANES, LANES + 1, M * LANES + 3])
def test_any_border(width, padding):
    check(first_layer((2, 6, width), padding=padding), width)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
@pytest.mark.parametrize("pool", [False, True])
def test_pictures_that_are_not_plain(precision, pool):
    """A layer of few channels behind another one reads cells, of bfloat16 where that is the precision."""
    before = [("convolutional", {"filters": 3, "size": 1, "activation": "relu"})]
    check(
        first_layer((5, 11, M * LANES + 9), pool=pool, before=before),
        1,
        2,
        precision,
        2e-5 if precision == "float32" else 0.02,
    )


def test_a_shortcut_and_a_curve_behind_it():
    convolution = {"filters": 3, "size": 3, "pad": 1, "activation": "leaky"}
    network = make_network(
        (3, 10, 13),
        ("convolutional", convolution),
        ("convolutional", {**convolution, "activation": "linear"}),
        ("shortcut", {"from": -2, "activation": "leaky"}),
        ("convolutional", {**convolution, "activation": "mish"}),
    )
    check(network, 3, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, LANES - 1])
def test_a_thread_keeps_to_its_own_memory(channels):
    """One thread alone has the last of the workspace: no other's lies between it and what nobody uses."""
    network = first_layer((channels, 3, M * LANES + 5))
    ready = open_plan(network, random_parameters(network.layers))._run(1)
    ready.values.memory[:] = NAN
    ready.run(random_array((1, *network.input_shape)))
    assert all((ready.values.memory[gap] == NAN).all() for gap in ready.values.gaps)


def test_answers_are_the_same_bits_for_any_number_of_threads_and_pictures():
    network = first_layer((3, 37, M * LANES + 30), pool=True)
    parameters, batch = list(random_parameters(network.layers)), random_array((5, *network.input_shape))
    expected = run(network, parameters, batch)
    for threads in (2, 3):
        assert run(network, parameters, batch, threads).tobytes() == expected.tobytes()
    assert run(network, parameters, batch[3:4], 2).tobytes() == expected[3].tobytes()


def test_the_error_is_that_of_tiles_of_4_x_4():
    """1.3e-6 of the outputs' largest at most, of pixels from 0 to 1."""
    network = first_layer((3, 64, 64), activation="linear")
    parameters = list(random_parameters(network.layers))
    batch = np.random.default_rng(0).random((1, *network.input_shape), np.float32)
    exact = network.layers[0].forward([batch.astype(float)], {k: v.astype(float) for k, v in parameters[0].items()})
    answers = run(network, parameters, batch).reshape(exact.shape)
    assert np.abs(answers - exact).max() < 3e-6 * np.abs(exact).max()


@pytest.mark.parametrize("y", range(N))
@pytest.mark.parametrize("x", range(N))
def test_what_is_not_a_number_is_not_lost_in_halves(y, x):
    """The corners of a tile's inputs go into one output each, all others of the pool are numbers."""
    network = first_layer((1, 3 * M, 3 * M), filters=1, pool=True)
    parameters, batch = random_parameters(network.layers), random_array((1, *network.input_shape))
    batch[0, 0, M - 1 + y, M - 1 + x] = np.nan
    spoilt = np.isnan(run_engine("reference", network.layers, parameters, batch))
    answers = np.isnan(run(network, parameters, batch))
    assert spoilt.any()
    assert answers[spoilt].all()
    assert not answers.all()


def test_it_is_chosen_for_pictures_not_for_a_few_pixels():
    for shape in ((3, 224, 224), (3, 32, 32)):
        assert choose(first_layer(shape, filters=64).layers[0])[0].name == NAME
    assert choose(first_layer((3, 2, 2), filters=16).layers[0])[0].name != NAME
