"""A network's dialect: its arithmetic, and that every definition and every engine follows it."""

from __future__ import annotations

import numpy as np
import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines import compile_training
from darknet_py.errors import UsageError
from darknet_py.layers import ALEXEYAB, DARKNET, DIALECTS, Layer, find_dialect

VARIANCES = [0, 1e-9, 1e-5, 2.0]
DIVISORS = {
    "darknet": [1e-6, 10**-4.5 + 1e-6, 10**-2.5 + 1e-6, 2**0.5 + 1e-6],
    "alexeyab-2020": [1e-3, (1e-9 + 1e-6) ** 0.5, (1e-5 + 1e-6) ** 0.5, 2.000001**0.5],
    "alexeyab": [10**-2.5, (1e-9 + 1e-5) ** 0.5, (2e-5) ** 0.5, 2.00001**0.5],
}
SECTIONS = [
    ("convolutional", {"filters": 4, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("batchnorm", {}),
    ("connected", {"output": 4, "batch_normalize": 1, "activation": "linear"}),
    ("softmax", {}),
]
each = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@each
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_normalization_divides_by_the_dialects_number(dialect, kind):
    divisor = dialect.divisor(np.array(VARIANCES, kind))
    assert divisor.dtype == kind
    np.testing.assert_allclose(divisor, DIVISORS[dialect.name], rtol=1e-6)


def test_its_summary_says_so():
    end = "batch normalization divides by"
    assert DARKNET.summary == f"dialect darknet, of pjreddie's program on a CPU: {end} sqrt(variance) + 1e-06"
    assert ALEXEYAB.summary == f"dialect alexeyab, of AlexeyAB's program: {end} sqrt(variance + 1e-05)"


def test_a_name_finds_it():
    assert find_dialect("alexeyab") is ALEXEYAB
    with pytest.raises(UsageError, match="dialect=alexey: one of darknet, alexeyab, alexeyab-2020 is expected"):
        find_dialect("alexey")


def test_layers_have_that_of_their_network_and_darknets_by_themselves():
    network = make_network((3, 4, 4), *SECTIONS, dialect=ALEXEYAB)
    assert {layer.dialect for layer in (*network.layers, *network.layers_at(4, 4))} == {ALEXEYAB}
    layer: Layer = make_network((3, 4, 4), *SECTIONS).layers[0]
    assert layer.dialect is DARKNET


def small_network(dialect):
    """A network whose inputs hardly vary, so that the small number matters, and its parameters."""
    network = make_network((3, 4, 4), *SECTIONS, dialect=dialect)
    parameters = random_parameters(network.layers)
    for views in parameters.views:
        if "variances" in views:
            views["means"], views["variances"] = 0, np.geomspace(1e-8, 1e-4, 4, dtype=np.float32)
            views["scales"] *= np.float32(1e-3)
    return network, parameters


@each
def test_all_engines_have_it(dialect):
    (network, parameters), batch = small_network(dialect), random_array((2, 3, 4, 4))
    expected = run_engine("reference", network.layers, parameters, batch)
    assert_close(run_engine("cpu", network.layers, parameters, batch), expected, 1e-5)
    other = ALEXEYAB if dialect is DARKNET else DARKNET
    assert np.abs(run_engine("reference", small_network(other)[0].layers, parameters, batch) - expected).max() > 0.1


@each
def test_training_has_it_in_all_engines(dialect):
    """With pictures that hardly vary; the gradient of scales depends on the divisor."""
    (network, parameters), truths = small_network(dialect), np.eye(4, dtype=np.float32)
    images = np.float32(1e-3) * random_array((4, 3, 4, 4))
    plans = [compile_training(engine, network.layers, parameters.copy(), 4) for engine in ("reference", "cpu")]
    losses = [plan.step(images, truths, np.random.default_rng(0)) for plan in plans]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    expected, found = (plan.gradients.values for plan in plans)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    layer, views = network.layers[0], parameters.views[0]
    x = random_array((4, 3, 4, 4)) * np.float32(1e-3)
    _, saved = layer.train([x], views, {})
    delta = random_array((4, 4, 4, 4))
    bent = np.where(saved["activated"] > 0, 1, np.float32(0.1)) * delta
    centred = saved["sums"] - saved["means"].reshape(-1, 1, 1)
    scales = (bent * centred).sum(axis=(0, 2, 3)) / dialect.divisor(saved["variances"])
    np.testing.assert_allclose(layer.backward(delta, saved, views).parameters["scales"], scales, rtol=1e-4)
