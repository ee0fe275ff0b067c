"""What a network answers, or refuses, at the limits of float32, of its sizes, and to several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import cfg_text, make_network, random_array, random_parameters

import darknet_py
from darknet_py import UsageError, WeightsError
from darknet_py.weights import save_weights

ENGINES = "reference", "cpu"
AVERAGE = ("avgpool", {})


@pytest.fixture
def load(tmp_path):
    """Load a network of these sections, for pictures of a shape, with its parameters changed by a function."""

    def make(shape, *sections, change=lambda parameters: None, engine="cpu"):
        network = make_network(shape, *sections)
        parameters = random_parameters(network.layers)
        change(parameters)
        net = dict(zip(("channels", "height", "width"), shape, strict=True))
        (tmp_path / "n.cfg").write_text(cfg_text([("net", net), *sections]))
        save_weights(tmp_path / "n.weights", parameters)
        return darknet_py.load_network(tmp_path / "n.cfg", tmp_path / "n.weights", engine)

    return make


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_batch_that_is_not_finite_is_refused(load, value):
    batch = np.zeros((2, 3, 4, 4), np.float32)
    batch[1, 2, 3, 0] = value
    with pytest.raises(UsageError, match="NaN or infinity in the batch; finite numbers are expected"):
        load((3, 4, 4), ("convolutional", {"filters": 2}), ("avgpool", {})).predict(batch)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_of_no_picture_has_no_outputs(load, engine):
    net = load((3, 4, 4), ("convolutional", {"filters": 2}), AVERAGE, ("softmax", {}), engine=engine)
    assert net.predict(np.empty((0, 3, 6, 5))).shape == (0, 2)
    with pytest.raises(UsageError, match="a batch of shape"):
        net.predict(np.empty((0, 4, 6, 5)))


LOGISTIC = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "activation": "logistic"})
LINEAR = ("convolutional", {"filters": 16, "size": 3, "pad": 1, "activation": "linear"})


def multiply_by(factor):
    """A function that makes the first layer's output 0.5 everywhere, which the second one multiplies and adds up."""

    def change(parameters):
        for arrays, value in zip(parameters, (0, factor), strict=False):
            arrays["weights"] = value
            arrays["biases"] = 0

    return change


def test_what_only_an_engines_own_sums_cannot_hold_is_answered_by_the_definitions(load):
    """Sums of 1e38 are within float32; the intermediate ones of Winograd's algorithm are not."""
    batch = random_array((3, 16, 24, 24))

    def enlarge(parameters):
        parameters.views[0]["weights"] *= np.float32(2e37)
        parameters.views[1]["weights"] *= np.float32(1e-38)

    sections = (LINEAR, ("convolutional", {"filters": 4, "activation": "logistic"}), AVERAGE)
    nets = [load((16, 24, 24), *sections, change=enlarge, engine=engine) for engine in ENGINES]
    expected, answers = (net.predict(batch) for net in nets)
    np.testing.assert_array_equal(answers, expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("sections", "factor"),
    [
        ((LOGISTIC, LINEAR, ("maxpool", {"size": 2, "stride": 2}), ("activation", {"activation": "relu"})), 3e38),
        # As in C, where relu multiplies by 0: it turns a negative infinity into NaN, which no maximum hides.
        ((LOGISTIC, (LINEAR[0], {**LINEAR[1], "activation": "relu"}), ("maxpool", {"size": 3, "stride": 2})), -3e38),
    ],
    ids=["infinity", "not a number"],
)
def test_what_is_not_finite_is_refused_and_the_first_layer_at_fault_named(load, sections, factor, engine):
    net = load((3, 24, 24), *sections, AVERAGE, change=multiply_by(factor), engine=engine)
    with pytest.raises(WeightsError, match=r"layer 1 \[convolutional\] gives NaN or infinity"):
        net.predict(np.ones((1, 3, 24, 24)))


GROWING = ("convolutional", {"filters": 4, "size": 8, "stride": 4, "activation": "linear"}), ("softmax", {})


def test_a_network_whose_outputs_would_grow_with_the_picture_runs_at_its_own_size(load):
    def zero(parameters):
        parameters.views[0]["weights"] = 0
        parameters.views[0]["biases"] = [0, 5, 0, 0]

    net = load((3, 8, 8), *GROWING, change=zero)
    assert not net.resizable
    for width in (8, 12, 40):
        best = net.classify(np.zeros((8, width, 3), np.uint8), top=1)[0]
        assert (best.index, round(best.probability, 2)) == (1, 0.98)
    reason = "cannot run at 12 x 8 but only at 8 x 8: another input's size would give another number of outputs"
    with pytest.raises(UsageError, match=reason):
        net.predict(np.zeros((1, 3, 8, 12), np.float32))


@pytest.mark.parametrize(
    ("shape", "sections", "resizable"),
    [
        ((3, 5, 6), [AVERAGE, ("convolutional", {})], True),
        ((3, 1, 1), [("convolutional", {}), AVERAGE, ("route", {"layers": "-1,0"})], False),
        ((3, 5, 6), [("convolutional", {}), AVERAGE, ("route", {"layers": "0"})], False),
        ((3, 5, 6), [("convolutional", {}), AVERAGE, ("softmax", {}), ("cost", {})], True),
        # At another size they could not be joined.
        ((3, 5, 5), [("convolutional", {"size": 5}), AVERAGE, ("route", {"layers": "0,1"}), AVERAGE], False),
        ((3, 5, 5), [("convolutional", {"size": 5}), AVERAGE, ("shortcut", {"from": 0}), AVERAGE], False),
    ],
)
def test_outputs_are_of_one_size_where_all_that_they_come_of_is_pooled(shape, sections, resizable):
    assert make_network(shape, *sections).resizable == resizable


def test_threads_that_predict_at_more_sizes_than_plans_are_kept(load):
    net = load((3, 8, 8), ("convolutional", {"filters": 4, "size": 3}), ("avgpool", {}))
    batches = [np.full((1, 3, 8 + n, 8), 0.5, np.float32) for n in range(7)]
    expected = [net.predict(batch).tobytes() for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.tobytes() for answer in pool.map(net.predict, batches * 200)]
    assert answers == expected * 200
