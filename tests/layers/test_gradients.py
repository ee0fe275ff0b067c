"""Every layer's `backward` against central differences of its `train`, in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_layer
from support_gradients import check_gradients, difference, double_parameters, random_doubles

from darknet_py.layers import REGISTRY, batchnorm, connected, convolutional
from darknet_py.layers.activations import ACTIVATIONS

EPSILON = batchnorm.GRADIENT_EPSILON


@pytest.fixture
def textbook(monkeypatch):
    """The normalization whose true gradient is darknet's hand-written one: N, and the small number inside."""

    def normalize_batch(x, parameters, dialect, fixed):
        rest, column = (0, *range(2, x.ndim)), (-1,) + (1,) * (x.ndim - 2)
        saved = {"means": x.mean(axis=rest), "variances": x.var(axis=rest), "sums": x}
        means, variances, scales = (
            a.reshape(column) for a in (saved["means"], saved["variances"], parameters["scales"])
        )
        return scales * (x - means) / np.sqrt(variances + EPSILON), saved

    for module in (batchnorm, connected, convolutional):
        monkeypatch.setattr(module, "normalize_batch", normalize_batch)


# Of the gradient of scales, which is that of darknet's own normalization.
LOOSE = {"scales": 1e-3}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["activation", "convolutional", "connected", "shortcut"])
def test_activations(kind, activation):
    """Over all their bends and jumps; in a convolution and in the other layers that apply one."""
    needed = {"shortcut": {"from": 0}, "convolutional": {"filters": 3}, "connected": {"output": 4}}
    layer = make_layer(
        kind, *[(2, 3, 3)] * (3 if kind == "shortcut" else 2), activation=activation, **needed.get(kind, {})
    )
    inputs = [4 * random_doubles((2, 2, 3, 3), seed) for seed, _ in enumerate(layer.inputs)]
    check_gradients(layer, inputs, double_parameters(layer))


@pytest.mark.parametrize("normalized", [0, 1])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 4, 5), {"filters": 3, "size": 3, "pad": 1}),
        ((3, 3, 4), {"filters": 2, "size": 1}),
        ((3, 5, 4), {"filters": 2, "size": 1, "stride": 2}),
        ((2, 5, 6), {"filters": 3, "size": 3, "stride": 2, "pad": 1}),
        ((1, 7, 6), {"filters": 2, "size": 4, "stride": 3, "padding": 1}),
        ((1, 5, 5), {"filters": 2, "size": 2, "stride": 3}),
        ((4, 3, 3), {"filters": 6, "size": 3, "pad": 1, "groups": 2}),
        ((4, 3, 3), {"filters": 4, "size": 2, "groups": 4}),
        ((2, 1, 1), {"filters": 3, "size": 3, "pad": 1}),
        ((2, 2, 3), {"filters": 2, "size": 2, "padding": 3}),
        ((1, 3, 3), {"filters": 2, "size": 5, "stride": 3}),
    ],
)
@pytest.mark.usefixtures("textbook")
def test_convolutional(shape, options, normalized):
    layer = make_layer("convolutional", shape, **options, batch_normalize=normalized, activation="tanh")
    check_gradients(layer, [random_doubles((3, *shape))], double_parameters(layer), loose=LOOSE)


@pytest.mark.parametrize("normalized", [0, 1])
@pytest.mark.usefixtures("textbook")
def test_connected(normalized):
    layer = make_layer("connected", (2, 3, 2), output=5, batch_normalize=normalized, activation="tanh")
    check_gradients(layer, [random_doubles((4, 2, 3, 2))], double_parameters(layer), loose=LOOSE)


@pytest.mark.usefixtures("textbook")
def test_batchnorm():
    layer = make_layer("batchnorm", (3, 2, 4))
    check_gradients(layer, [random_doubles((3, 3, 2, 4))], double_parameters(layer), loose=LOOSE)


def test_of_scales_and_biases_the_gradient_is_that_of_darknets_own_normalization():
    layer = make_layer("batchnorm", (3, 1, 2))
    x, delta, parameters = random_doubles((2, 3, 1, 2)), random_doubles((2, 3, 1, 2), 1), double_parameters(layer)
    gradients = layer.backward(delta, layer.train([x], parameters, {})[1], parameters).parameters
    for name in ("scales", "biases"):
        expected = difference(lambda: (layer.train([x], parameters, {})[0] * delta).sum(), parameters[name])
        np.testing.assert_allclose(gradients[name], expected, atol=1e-8)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 6, 6), {"size": 2, "stride": 2}),
        ((2, 5, 7), {"size": 2, "stride": 2}),
        ((1, 5, 6), {"size": 3, "stride": 2}),
        ((2, 4, 5), {"size": 2, "stride": 1}),
        ((1, 6, 5), {"size": 3, "stride": 1, "padding": 2}),
        ((1, 6, 6), {"size": 3, "stride": 1, "padding": 0}),
        ((1, 7, 7), {"size": 2, "stride": 3}),
        ((2, 1, 1), {"size": 2, "stride": 2}),
        ((1, 3, 3), {"size": 3, "stride": 2, "padding": 4}),
    ],
)
def test_maxpool(shape, options):
    layer = make_layer("maxpool", shape, **options)
    check_gradients(layer, [random_doubles((2, *shape))], {})


def test_avgpool():
    check_gradients(make_layer("avgpool", (3, 2, 5)), [random_doubles((2, 3, 2, 5))], {})


@pytest.mark.parametrize("layers", ["0", "1,0", "0,1,0"])
def test_route(layers):
    layer = make_layer("route", (1, 3, 2), (2, 3, 2), (3, 3, 2), layers=layers)
    check_gradients(layer, [random_doubles((2, i + 2, 3, 2), i) for i in layer.inputs], {})


@pytest.mark.parametrize(
    ("source", "other"),
    [
        ((2, 3, 4), (2, 3, 4)),
        ((3, 3, 4), (2, 3, 4)),
        ((2, 3, 4), (3, 3, 4)),
        ((2, 3, 2), (3, 6, 4)),
        ((2, 4, 6), (3, 2, 3)),
        ((2, 3, 3), (2, 7, 7)),
        ((2, 7, 7), (1, 3, 3)),
    ],
)
@pytest.mark.parametrize("factors", [{}, {"alpha": 0.5, "beta": 3}])
def test_shortcut(source, other, factors):
    layer = make_layer("shortcut", (1, 1, 1), other, source, **{"from": 0}, **factors, activation="tanh")
    check_gradients(layer, [random_doubles((2, *source)), random_doubles((2, *other), 1)], {})


@pytest.mark.parametrize("noadjust", [0, 1])
@pytest.mark.parametrize("flip", [0, 1])
def test_crop(flip, noadjust):
    layer = make_layer("crop", (2, 5, 6), crop_height=3, crop_width=2, flip=1, noadjust=noadjust)
    drawn = {"flip": np.float32(flip), "top": np.float32(2), "left": np.float32(1)}
    check_gradients(layer, [random_doubles((2, 2, 5, 6))], {}, drawn)


@pytest.mark.parametrize("probability", [0, 0.25, 0.5])
def test_dropout(probability):
    layer = make_layer("dropout", (2, 3, 4), probability=probability)
    drawn = layer.draw(3, np.random.default_rng(0))
    check_gradients(layer, [random_doubles((3, 2, 3, 4))], {}, drawn)


@pytest.mark.parametrize("kind", ["softmax", "cost"])
def test_what_lies_behind_softmax_and_cost_passes_through(kind):
    """A cost passes it on unchanged; so does softmax, as in darknet: truth - prediction is the gradient."""
    layer = make_layer(kind, (4, 1, 1))
    delta = random_doubles((2, 4, 1, 1))
    gradients = layer.backward(delta, layer.train([delta], {}, {})[1], {})
    assert (gradients.inputs[0] == delta).all()
    assert not gradients.parameters


def one_hot(count, classes):
    return np.eye(classes)[np.arange(count) * 3 % classes]


def falls(layer, x, truths):
    """The delta of `measure`, and by how much the loss falls with each value of its input."""
    _, delta = layer.measure([x], layer.forward([x], {}), truths)
    assert delta.dtype == np.float64
    assert delta.shape == x.shape
    return delta, -difference(lambda: layer.measure([x], layer.forward([x], {}), truths)[0], x)


@pytest.mark.parametrize("temperature", [1, 2.5])
def test_the_loss_of_softmax_is_the_cross_entropy(temperature):
    """In groups, each with its truth; the temperature is not in the gradient, as in darknet."""
    layer = make_layer("softmax", (2, 1, 3), temperature=temperature, groups=2)
    x, truths = random_doubles((4, 2, 1, 3)), np.hstack([one_hot(4, 3), one_hot(4, 3)[::-1]])
    delta, fall = falls(layer, x, truths)
    np.testing.assert_allclose(delta, fall * temperature, atol=1e-8)


@pytest.mark.parametrize(("kind", "factor"), [("sse", 0.5), ("seg", 0.5), ("wgan", 0.5), ("L1", 1), ("smooth", 0.5)])
@pytest.mark.parametrize("scale", [1, 3])
def test_the_loss_of_a_cost_falls_along_its_delta(kind, factor, scale):
    """That of squares falls by twice the delta, which has no factor 2."""
    layer = make_layer("cost", (5, 2, 1), type=kind, scale=scale)
    delta, fall = falls(layer, 2 * random_doubles((3, 5, 2, 1)), random_doubles((3, 10), 1))
    np.testing.assert_allclose(delta, scale * factor * fall, atol=1e-7)


def test_every_kind_of_layer_can_be_trained():
    assert [layer.kind for layer in REGISTRY.values() if "backward" not in vars(layer)] == []
