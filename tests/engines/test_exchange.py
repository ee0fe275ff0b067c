"""The mean of a picture, moved before a layer: on which networks, in which order, with the same answers."""

from __future__ import annotations

import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine
from test_passes import check_program

from darknet_py.engines.exchange import average_first, running_order
from darknet_py.engines.passes import compile_steps
from darknet_py.layers import Shape
from darknet_py.network import load_structure

CONV = ("convolutional", {"filters": 18, "size": 3, "pad": 1, "activation": "leaky"})
AFFINE = ("convolutional", {"filters": 21, "batch_normalize": 1, "activation": "linear"})
MEAN = ("avgpool", {})


def order(layers):
    return [layer.index for layer in running_order(average_first(layers))]


@pytest.mark.parametrize("name", ["tiny", "darknet", "darknet19", "darknet19_448", "densenet201", "resnet152"])
def test_the_last_convolution_of_darknets_networks_multiplies_one_cell(name):
    layers = load_structure(f"cfg/{name}.cfg").layers
    pool = next(layer for layer in layers if layer.averages)
    exchanged = average_first(layers)
    convolution = exchanged[pool.index - 1]
    assert exchanged[pool.index].inputs == layers[pool.index - 1].inputs
    assert convolution.inputs == (pool.index,)
    assert convolution.shape == Shape(1000, 1, 1)
    assert convolution.parameters == layers[pool.index - 1].parameters
    check_program(compile_steps(exchanged), exchanged)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([CONV, AFFINE, MEAN, ("softmax", {})], [0, 2, 1, 3]),
        ([AFFINE, MEAN], [0, 1]),
        ([CONV, AFFINE, MEAN], [0, 2, 1]),
        ([CONV, AFFINE, MEAN, ("route", {"layers": "2,2"}), MEAN, ("cost", {})], [0, 2, 1, 3, 4, 5]),
        ([CONV, AFFINE, MEAN, AFFINE, MEAN], [0, 2, 1, 4, 3]),
        ([CONV, AFFINE, MEAN, ("route", {"layers": 1})], [0, 1, 2, 3]),
        ([CONV, ("convolutional", {**AFFINE[1], "activation": "leaky"}), MEAN], [0, 1, 2]),
        ([CONV, ("convolutional", {**AFFINE[1], "stride": 2}), MEAN], [0, 1, 2]),
        ([CONV, ("convolutional", {**AFFINE[1], "padding": 1}), MEAN], [0, 1, 2]),
        ([CONV, ("convolutional", {**AFFINE[1], "size": 2}), MEAN], [0, 1, 2]),
        ([CONV, ("convolutional", {**AFFINE[1], "stride_x": 2}), MEAN], [0, 1, 2]),
        ([CONV, ("convolutional", {**AFFINE[1], "xnor": 1}), MEAN], [0, 1, 2]),
        ([CONV, AFFINE, ("local_avgpool", {"size": 2, "stride": 2})], [0, 1, 2]),
        ([MEAN, AFFINE], [0, 1]),
    ],
    ids=[
        "plain", "of the picture itself", "last", "read twice", "twice", "read elsewhere", "activated", "stride",
        "padding", "window", "two strides", "signs", "of parts", "the mean is first",
    ],
)  # fmt: skip
def test_the_mean_comes_first_only_where_the_answer_stays(sections, expected):
    network = make_network((3, 7, 6), *sections)
    layers = network.layers
    assert order(layers) == expected
    exchanged = average_first(layers)
    check_program(compile_steps(exchanged), exchanged)
    parameters, batch = random_parameters(layers), random_array((2, *network.input_shape))
    answers = run_engine("cpu", layers, parameters, batch)
    assert_close(answers, run_engine("reference", layers, parameters, batch), 1e-5)
