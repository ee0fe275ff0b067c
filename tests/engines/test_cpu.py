"""The CPU engine against the layers' definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_close, make_network, random_array, random_parameters, run_engine
from support_networks import OTHER_LAYERS, SIDES, convolutions

from darknet_py.engines import CPU_PRECISIONS, open_engine
from darknet_py.engines.passes import SLOPES
from darknet_py.layers.activations import ACTIVATIONS

BOUNDS = {"float32": 5e-5, "bfloat16": 0.2}


def check(network, seed=0, pictures=1):
    """Compare the network's answers on the CPU engine with its layers' definitions, in both precisions."""
    parameters = random_parameters(network.layers, seed)
    batch = random_array((pictures, *network.input_shape), seed)
    expected = run_engine("reference", network.layers, parameters, batch)
    for precision, bound in BOUNDS.items():
        assert_close(run_engine("cpu", network.layers, parameters, batch, precision=precision), expected, bound)


@given(convolutions(), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_convolutions_of_any_geometry(network, seed):
    check(network, seed)


@pytest.mark.parametrize("channels", [1, 3, 15, 16, 17, 31, 33, 64])
@pytest.mark.parametrize("filters", [1, 7, 16, 29, 48])
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_channels_that_no_vector_divides(channels, filters, size, stride):
    options = {"filters": filters, "size": size, "stride": stride, "pad": 1, "activation": "leaky"}
    check(make_network((channels, 9, 7), ("convolutional", options)))


@pytest.mark.parametrize("side", range(1, 20))
@pytest.mark.parametrize("size", [1, 3])
def test_pictures_of_any_side(side, size):
    options = {"filters": 20, "size": size, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
    check(make_network((20, side, side), ("convolutional", options)))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 227, 227), {"filters": 96, "size": 11, "stride": 4}),
        ((3, 96, 64), {"filters": 64, "size": 7, "stride": 2, "pad": 1}),
        ((96, 27, 27), {"filters": 40, "size": 5, "pad": 1}),
        ((512, 7, 7), {"filters": 128, "size": 3, "pad": 1}),
        ((1024, 7, 7), {"filters": 100, "size": 1}),
        ((128, 14, 14), {"filters": 128, "size": 3, "pad": 1, "groups": 32}),
        ((64, 14, 14), {"filters": 64, "size": 3, "pad": 1, "stride": 2, "groups": 64}),
    ],
    ids=str,
)
def test_convolutions_of_the_networks(shape, options):
    check(make_network(shape, ("convolutional", {**options, "activation": "leaky"})))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("convolutional", {"filters": 18, "size": 3, "pad": 1}), ("connected", {"output": 19}), ("activation", {})],
)
def test_every_activation_after_every_kind_of_layer(kind, options, activation):
    check(make_network((5, 6, 7), (kind, {**options, "activation": activation})))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("first", ["linear", "leaky"])
def test_every_activation_after_a_residual(first, activation):
    convolution = ("convolutional", {"filters": 17, "size": 3, "pad": 1, "activation": first})
    shortcut = ("shortcut", {"from": 0, "activation": activation})
    check(make_network((5, 6, 7), convolution, convolution, convolution, shortcut))


def test_slopes_are_what_stores_can_apply():
    assert all(0 <= slope <= 1 for slope in SLOPES.values())


@pytest.mark.parametrize("activation", SLOPES)
@pytest.mark.parametrize("groups", [1, 40])
def test_slopes_of_infinities_and_what_is_no_number_as_they_are_stored(groups, activation):
    """Of a convolution, and of a sum behind it."""
    first, second = ({"filters": 40, "size": 1, "groups": n, "activation": activation} for n in (groups, 40))
    sections = ("convolutional", first), ("convolutional", second), ("shortcut", {"from": -2, "activation": activation})
    network = make_network((40, 4, 5), *sections)
    parameters = [
        {name: array.copy() for name, array in arrays.items()} for arrays in random_parameters(network.layers)
    ]
    for arrays in parameters[:2]:
        arrays["weights"][:], arrays["biases"][:] = 1, 0
    numbers = [np.inf, -np.inf, np.nan, 1e38, -1e38, 2, -2, 1, -1, 0, -0.0, 1e-40, -1e-40]
    batch = np.zeros((1, 40, 4, 5), np.float32)
    batch.reshape(40, 20)[: 40 if groups > 1 else 1, : len(numbers)] = numbers
    with np.errstate(invalid="ignore"):
        cpu, reference = (run_engine(name, network.layers, parameters, batch) for name in ("cpu", "reference"))
    np.testing.assert_allclose(cpu, reference, rtol=1e-5)


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_what_is_no_number_is_none_in_bfloat16(bits):
    """Whatever its bits are: rounded as those of numbers, they would overflow."""
    sections = ("activation", {"activation": "leaky"}), ("convolutional", {"filters": 40, "activation": "linear"})
    layers = make_network((40, 4, 5), *sections).layers
    batch = random_array((1, 40, 4, 5))
    batch.view(np.uint32)[0, 7] = bits
    with np.errstate(invalid="ignore"):
        assert np.isnan(run_engine("cpu", layers, random_parameters(layers), batch, precision="bfloat16")).all()


def test_a_network_that_computes_nothing():
    check(make_network((3, 4, 5), ("dropout", {}), ("cost", {})))
    check(make_network((3, 4, 5), ("dropout", {}), ("softmax", {})))


def test_a_value_that_a_convolution_reads_and_adds_again():
    """It leaves NumPy's hands once, though two ask for it."""
    convolution, shortcut = (
        (kind, {**options, "activation": "linear"})
        for kind, options in (("convolutional", {"filters": 3}), ("shortcut", {"from": 0}))
    )
    check(make_network((3, 5, 6), ("batchnorm", {}), convolution, shortcut))


@given(SIDES, st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.data())
@settings(deadline=None)
def test_pooling_of_any_geometry(sides, channels, size, stride, data):
    padding = data.draw(st.integers(max(0, size - min(sides)), 2 * size - 2))
    check(make_network((channels, *sides), ("maxpool", {"size": size, "stride": stride, "padding": padding})))


@pytest.mark.parametrize("channels", [1, 16, 37])
@pytest.mark.parametrize("section", OTHER_LAYERS, ids=str)
def test_other_layers_between_convolutions(channels, section):
    convolution = ("convolutional", {"filters": channels, "size": 3, "pad": 1, "activation": "leaky"})
    check(make_network((3, 5, 6), convolution, section, convolution))


@given(st.integers(1, 5), SIDES, st.integers(1, 70), st.integers(0, 1))
@settings(deadline=None)
def test_connected_layers_of_any_size(channels, sides, outputs, normalized):
    options = {"output": outputs, "batch_normalize": normalized, "activation": "leaky"}
    check(make_network((channels, *sides), ("connected", options)))


def test_transposed_matrices_are_read_as_such():
    network = make_network((5, 3, 4), ("connected", {"output": 7}))
    parameters = random_parameters(network.layers)
    batch = random_array((1, 5, 3, 4))
    plain = run_engine("cpu", network.layers, parameters, batch)
    (arrays,) = parameters
    transposed = {**arrays, "weights": np.asfortranarray(arrays["weights"])}
    assert (run_engine("cpu", network.layers, [transposed], batch) == plain).all()


# One of everything: answers must depend on the picture alone.
EVERYTHING = make_network(
    (3, 61, 47),
    ("convolutional", {"filters": 20, "size": 7, "stride": 2, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("maxpool", {"size": 3, "stride": 2}),
    ("convolutional", {"filters": 20, "size": 3, "pad": 1, "activation": "relu"}),
    ("shortcut", {"from": -2, "activation": "leaky"}),
    ("convolutional", {"filters": 40, "size": 1, "activation": "tanh"}),
    ("route", {"layers": "-1,-2"}),
    ("convolutional", {"filters": 30, "size": 3, "pad": 1, "groups": 2, "activation": "leaky"}),
    ("connected", {"output": 50, "activation": "relu"}),
    ("dropout", {}),
    ("connected", {"output": 11, "activation": "linear"}),
    ("softmax", {}),
)
PARAMETERS = random_parameters(EVERYTHING.layers)
BATCH = random_array((5, 3, 61, 47))


def test_one_of_everything():
    check(EVERYTHING, pictures=3)


# What runs by its definition: NumPy adds up in another order where there are more pictures.
DEFINED = make_network(
    (3, 61, 47),
    ("maxpool", {"size": 3, "stride": 4}),
    ("local", {"filters": 5, "size": 3, "pad": 1, "activation": "leaky"}),
    ("convolutional", {"filters": 20, "size": 3, "pad": 1, "dilation": 2, "activation": "leaky"}),
    ("lrn", {}),
    ("local_avgpool", {"size": 3, "stride": 2}),
    ("connected", {"output": 11, "activation": "normalize_channels"}),
)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
@pytest.mark.parametrize("network", [EVERYTHING, DEFINED], ids=["kernels", "definitions"])
def test_batches_answer_as_single_pictures_bit_for_bit(precision, network):
    engine = open_engine("cpu", network.layers, random_parameters(network.layers), 2, precision=precision)
    plan = engine.plan(network.layers)
    together = plan.run(BATCH)
    alone = [plan.run(BATCH[i : i + 1])[0] for i in range(len(BATCH))]
    assert together.tobytes() == np.stack(alone).tobytes()
    assert plan.run(BATCH[:0]).shape == (0, 11)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_answers_do_not_depend_on_the_number_of_threads(precision):
    one, two = (run_engine("cpu", EVERYTHING.layers, PARAMETERS, BATCH, n, precision) for n in (1, 2))
    assert one.tobytes() == two.tobytes()


def test_more_threads_than_cores_answer_the_same():
    one, many = (run_engine("cpu", EVERYTHING.layers, PARAMETERS, BATCH[:1], threads) for threads in (1, 64))
    assert one.tobytes() == many.tobytes()


def test_answers_are_the_callers_own():
    """A later run does not overwrite them, and the batch stays as it was."""
    plan = open_engine("cpu", EVERYTHING.layers, PARAMETERS, 1).plan(EVERYTHING.layers)
    batch = BATCH.copy()
    first = plan.run(batch[:1])
    kept = first.copy()
    plan.run(batch[1:2])
    assert (first == kept).all()
    assert (batch == BATCH).all()


def test_parameters_may_change_once_the_engine_is_open():
    """They are mapped from a file, which may."""
    network = make_network((3, 8, 8), ("convolutional", {"filters": 4}), ("batchnorm", {}), ("connected", {}))
    parameters = random_parameters(network.layers)
    for name in ("cpu", "reference"):
        given = [{key: array.copy() for key, array in arrays.items()} for arrays in parameters]
        plan = open_engine(name, network.layers, given, 1).plan(network.layers)
        before = plan.run(random_array((1, 3, 8, 8)))
        for arrays in given:
            for array in arrays.values():
                array[...] = 7
        assert (plan.run(random_array((1, 3, 8, 8))) == before).all()


def test_one_engine_serves_several_sizes():
    network = make_network(
        (3, 16, 16),
        ("convolutional", {"filters": 20, "size": 3, "pad": 1, "activation": "leaky"}),
        ("maxpool", {"stride": 2}),
        ("convolutional", {"filters": 7, "activation": "linear"}),
        ("avgpool", {}),
    )
    parameters = random_parameters(network.layers)
    engine = open_engine("cpu", network.layers, parameters, 1)
    sizes = [(16, 16), (31, 18), (5, 90), (1, 1)]
    plans = [engine.plan(network.layers_at(*size)) for size in sizes]
    for plan, size in zip(plans, sizes, strict=True):
        batch = random_array((2, 3, *size))
        expected = run_engine("reference", network.layers_at(*size), parameters, batch)
        assert_close(plan.run(batch), expected, BOUNDS["float32"])
