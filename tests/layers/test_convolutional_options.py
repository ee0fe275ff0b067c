"""[convolutional]: options beyond the usual ones, against loops."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import cfg_text, make_layer, make_network, random_array, random_parameters

from darknet_py.cfg import parse_cfg
from darknet_py.errors import CfgError, DarknetWarning
from darknet_py.network import Network


def convolve(x, weights, strides, padding, dilation):
    """A sum of products at every place; windows' cells lie `dilation` apart, from -padding * dilation on."""
    n, channels, height, width = x.shape
    filters, _, size, _ = weights.shape
    out = [(side + 2 * padding - size) // stride + 1 for side, stride in zip((height, width), strides, strict=True)]
    y = np.zeros((n, filters, *out))
    for image, f, row, column in np.ndindex(*y.shape):
        for c, i, j in np.ndindex(channels, size, size):
            sy = row * strides[0] + (i - padding) * dilation
            sx = column * strides[1] + (j - padding) * dilation
            if 0 <= sy < height and 0 <= sx < width:
                y[image, f, row, column] += float(weights[f, c, i, j]) * float(x[image, c, sy, sx])
    return y


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def forward(layer, x, **changed):
    (parameters,) = random_parameters([layer])
    return layer.forward([x], {**parameters, **changed}), parameters


@pytest.mark.parametrize(
    ("options", "strides", "dilation"),
    [
        ({"stride_x": 2}, (1, 2), 1),
        ({"stride_y": 3}, (3, 1), 1),
        ({"stride": 2, "stride_y": 1}, (1, 2), 1),
        ({"stride_x": 3, "stride_y": 3}, (3, 3), 1),
        ({"dilation": 2}, (1, 1), 2),
        ({"dilation": 3, "stride": 2}, (2, 2), 3),
    ],
)
def test_strides_and_dilation(options, strides, dilation):
    layer = make_layer("convolutional", (2, 7, 9), filters=3, size=3, pad=1, activation="leaky", **options)
    x = random_array((2, 2, 7, 9))
    y, parameters = forward(layer, x)
    sums = convolve(x, parameters["weights"], strides, 1, dilation) + parameters["biases"].reshape(-1, 1, 1)
    assert y.shape[1:] == layer.shape
    np.testing.assert_allclose(y, leaky(sums), rtol=1e-5, atol=1e-5)
    assert layer.operations == 2 * 9 * 2 * layer.shape.size


def test_a_window_of_one_cell_with_a_stride_takes_every_so_many_th():
    layer = make_layer("convolutional", (2, 5, 6), filters=3, stride=2, activation="linear")
    x = random_array((1, 2, 5, 6))
    y, parameters = forward(layer, x)
    sums = convolve(x, parameters["weights"], (2, 2), 0, 1) + parameters["biases"].reshape(-1, 1, 1)
    np.testing.assert_allclose(y, sums, rtol=1e-5, atol=1e-5)


def test_a_window_of_one_cell_has_no_dilation():
    layer = make_layer("convolutional", (2, 5, 6), filters=3, dilation=4)
    assert layer.shape == (3, 5, 6)
    assert not layer.special


def test_equal_strides_are_a_stride():
    layer = make_layer("convolutional", (2, 9, 9), filters=3, stride_x=2, stride_y=2)
    assert layer.stride == 2
    assert not layer.special


@pytest.mark.parametrize(
    ("kind", "stride", "kernel", "first", "shape"),
    [
        (1, 2, np.outer([1, 2, 1], [1, 2, 1]) / 16, 1, (4, 5)),
        (1, 1, np.outer([1, 2, 1], [1, 2, 1]) / 16, 1, (7, 9)),
        (2, 2, np.ones((2, 2)) / 4, 0, (3, 4)),
        (2, 3, np.ones((2, 2)) / 4, 0, (2, 3)),
    ],
)
def test_antialiasing_blurs_what_stride_1_gives(kind, stride, kernel, first, shape):
    options = dict(filters=3, size=3, pad=1, activation="leaky", batch_normalize=1)
    layer = make_layer("convolutional", (2, 7, 9), stride=stride, antialiasing=kind, **options)
    sharp = make_layer("convolutional", (2, 7, 9), **options)
    x = random_array((2, 2, 7, 9))
    y, parameters = forward(layer, x)
    before = sharp.forward([x], parameters)
    assert layer.shape == (3, *shape)
    for n, c, row, column in np.ndindex(*y.shape):
        total = 0.0
        for i, j in np.ndindex(*kernel.shape):
            sy, sx = row * stride + i - first, column * stride + j - first
            if 0 <= sy < 7 and 0 <= sx < 9:
                total += kernel[i, j] * before[n, c, sy, sx]
        assert y[n, c, row, column] == pytest.approx(total, abs=1e-5)
    assert layer.operations == sharp.operations


def test_cbn_is_batch_normalization():
    (normal, cross) = (
        make_layer("convolutional", (2, 5, 5), filters=3, **{key: 1}) for key in ("batch_normalize", "cbn")
    )
    assert cross.parameters == normal.parameters
    with pytest.raises(CfgError, match="cbn=1: not supported in training"):
        cross.check_trainable()


def test_xnor_multiplies_signs_and_mean_magnitudes():
    layer = make_layer("convolutional", (4, 5, 6), filters=3, size=3, pad=1, groups=2, xnor=1, activation="linear")
    assert layer.groups == 1
    x = random_array((2, 4, 5, 6))
    x[0, 0] = 0
    (parameters,) = random_parameters([layer])
    parameters["weights"][:, 0, 1] = 0
    y, weights = layer.forward([x], parameters), parameters["weights"]
    means = np.abs(weights).mean(axis=(1, 2, 3), keepdims=True)
    sums = convolve(np.where(x > 0, 1.0, -1.0), np.where(weights > 0, means, -means), (1, 1), 1, 1)
    np.testing.assert_allclose(y, sums + parameters["biases"].reshape(-1, 1, 1), rtol=1e-5, atol=1e-5)
    with pytest.raises(CfgError, match="xnor=1: not supported in training"):
        layer.check_trainable()


def test_binary_weights_keep_their_precision_and_one_warning_says_so(recwarn):
    sections = [("net", {"height": 5, "width": 5, "channels": 2})]
    sections += [("convolutional", {"filters": 2, "binary": value}) for value in (0, 1, 1)]
    layers = Network(parse_cfg(cfg_text(sections), "x.cfg"), "x.cfg").layers
    (told,) = [str(warning.message) for warning in recwarn]
    assert told == ("x.cfg:10: [convolutional] binary=1: the weights keep their precision, as in darknet on a CPU")
    assert not any(layer.special for layer in layers)
    with pytest.raises(CfgError, match="binary=1: not supported in training"):
        layers[1].check_trainable()


# The parameters of another layer

FIRST = {"filters": 4, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}


def test_a_layer_that_shares_has_no_parameters_of_its_own():
    layers = make_network(
        (4, 5, 5), ("convolutional", FIRST), ("convolutional", {**FIRST, "share_index": -1, "stride": 2})
    ).layers
    assert layers[1].parameters == {}
    assert layers[1].taken == layers[0].parameters
    assert layers[1].shares == 0
    parameters = random_parameters(layers)
    assert parameters.values.size == layers[0].parameter_count
    for name, array in parameters.views[0].items():
        assert np.shares_memory(parameters.views[1][name], array)


@pytest.mark.parametrize("index", [0, -2])
def test_sharing_counts_from_the_start_or_back(index):
    options = {**FIRST, "share_index": index}
    layers = make_network((4, 5, 5), ("convolutional", FIRST), ("dropout", {}), ("convolutional", options)).layers
    assert layers[2].shares == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share_index": 1}, ":18: [convolutional] share_index=1: layer 1 is [dropout]; a [convolutional] is expected"),
        ({"share_index": 2}, "share_index=2: 2: only 2 layers come before this one"),
        ({"share_index": 0, "filters": 8}, "share_index=0: layer 0 has other parameters"),
        ({"share_index": 0, "batch_normalize": 0}, "share_index=0: layer 0 has other parameters"),
    ],
)
def test_what_cannot_be_shared_is_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_network((4, 5, 5), ("convolutional", FIRST), ("dropout", {}), ("convolutional", {**FIRST, **options}))


# What darknet computes wrongly


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dilation": 2, "size": 3}, "dilation=2: an odd size and padding=1 are expected; with others darknet counts"),
        ({"dilation": 2, "size": 2, "pad": 1}, "dilation=2: an odd size and padding=1 are expected"),
        ({"dilation": 0}, "dilation=0: at least 1 is expected"),
        ({"antialiasing": 3}, "antialiasing=3: at most 2 is expected"),
        ({"antialiasing": 2, "size": 9, "padding": 2}, "antialiasing=2: 1 x 1 cells are left to blur"),
        ({"stride_x": 0}, "stride_x=0: at least 1 is expected"),
    ],
)
def test_what_is_out_of_range_or_counted_wrongly_is_refused(options, message):
    with pytest.raises(CfgError, match=re.escape(message)):
        make_layer("convolutional", (3, 5, 5), **options)


@pytest.mark.parametrize("named", [("route", {"layers": 0}), ("shortcut", {"from": 0}), ("sam", {"from": -2})], ids=str)
@pytest.mark.parametrize("kind", ["convolutional", "maxpool"])
def test_no_layer_may_name_one_with_antialiasing(kind, named):
    blurred = (kind, {"antialiasing": 1, "size": 3, **({"pad": 1} if kind == "convolutional" else {})})
    with pytest.raises(CfgError, match="layer 0: it has antialiasing, and darknet itself gives its size before that"):
        make_network((1, 6, 6), blurred, ("dropout", {}), named)


def test_options_of_training_alone_are_passed_over():
    layer = make_layer("convolutional", (3, 5, 5), coordconv=1, sway=1, bin_output=1)
    assert not layer.special
    for key in ("coordconv", "sway", "bin_output"):
        with pytest.raises(CfgError, match=f"{key}=1: not supported in training"):
            make_layer("convolutional", (3, 5, 5), **{key: 1}).check_trainable()


def test_an_unknown_key_is_told_of_as_ever():
    with pytest.warns(DarknetWarning, match="qqq=1: unknown option, ignored"):
        make_layer("convolutional", (3, 5, 5), qqq=1)
