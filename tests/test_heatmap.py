"""Where a network looked: `Classifier.heatmap`, against differences, and on pictures with an object in a corner."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageDraw
from support import make_network, random_array, random_parameters

from darknet_py import CfgError, UsageError, WeightsError, load_network, running, save_weights
from darknet_py.heatmap import Heatmap, find_layer, weigh_cells
from darknet_py.limits import Limit
from darknet_py.prediction import Prediction

CONVOLUTION = ("convolutional", dict(batch_normalize=1, filters=6, size=3, pad=1, activation="leaky"))
# After layer 1 there is one of everything that behaves differently in training, and a way round.
SECTIONS = [
    CONVOLUTION,
    CONVOLUTION,
    CONVOLUTION,
    ("shortcut", {"from": -2, "activation": "linear"}),
    ("batchnorm", {}),
    ("dropout", dict(probability=0.5)),
    ("route", dict(layers="-1,1")),
    ("maxpool", dict(size=2, stride=2)),
    ("connected", dict(batch_normalize=1, output=5, activation="logistic")),
    ("dropout", dict(probability=0.5)),
    ("softmax", {}),
    ("cost", {}),
]


def star(size, centre, radius=None):
    """A picture of `size` (width, height) with a star round `centre`, as wide as a half of its shorter side."""
    radius = radius or min(size) / 4
    image = Image.new("RGB", size, (40, 60, 90))
    radii = [radius, radius * 0.42] * 5
    turns = [k * math.pi / 5 for k in range(10)]
    corners = [
        (centre[0] + r * math.sin(turn), centre[1] - r * math.cos(turn)) for r, turn in zip(radii, turns, strict=True)
    ]
    ImageDraw.Draw(image).polygon(corners, fill=(240, 200, 40))
    return np.asarray(image)


@pytest.fixture(scope="module")
def shapes():
    return load_network("shapes", engine="reference")


@pytest.mark.parametrize("within", [[], [("softmax", dict(groups=27))], [("logistic", {})]], ids=str)
@pytest.mark.parametrize("layer", [0, 1, 2, 4, 6])
def test_cells_weigh_as_much_as_the_score_moves_with_them(layer, within):
    """Each channel's weight is the mean over its plane of the score's differences, at inference."""
    layers = make_network((3, 6, 6), *SECTIONS[:8], *within, *SECTIONS[8:]).layers[:-1]
    parameters = random_parameters(layers)
    image, index = random_array((3, 6, 6)), 3

    def score(change):
        """The softmax's input for the class, where a constant is added to channels of the layer's output."""
        values = {-1: image[None].astype(np.float64)}
        for current, arrays in zip(layers[:-1], parameters, strict=False):
            doubled = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
            values[current.index] = current.forward([values[i] for i in current.inputs], doubled)
            if current.index == layer:
                values[layer] = values[layer] + change[None, :, None, None]
        return values[len(layers) - 2].ravel()[index], values[layer][0]

    nothing = np.zeros(layers[layer].shape.channels)
    steps = 1e-6 * np.eye(len(nothing))
    weights = np.array([(score(step)[0] - score(-step)[0]) / 2e-6 for step in steps])
    expected = np.maximum(np.tensordot(weights, score(nothing)[1], 1), 0)
    cells = weigh_cells(layers, parameters, image, layer, index)
    assert cells.dtype == np.float32
    np.testing.assert_allclose(cells, expected / expected.max(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "mode"),
    [
        ((128, 128), "shorter"),
        ((200, 128), "shorter"),
        ((160, 120), "letterbox"),
        ((120, 160), "letterbox"),
        ((240, 128), "center-crop"),
        ((128, 240), "center-crop"),
        ((200, 128), "stretch"),
        ((240, 128), "resize-crop"),
        ((128, 240), "resize-crop"),
    ],
)
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_the_weight_lies_in_the_corner_of_the_object(shapes, size, mode, corner):
    """Of a uniform map, a quarter would be there."""
    width, height = size
    side = min(size) if mode.endswith("crop") else 0
    seen = [side or full for full in size]
    start = [(full - part) // 2 for full, part in zip(size, seen, strict=True)]
    centre = [first + part * (0.28 + 0.44 * far) for first, part, far in zip(start, seen, corner, strict=True)]
    heatmap = shapes.heatmap(star(size, centre), preprocess=mode)
    warmth = heatmap.spread()
    assert warmth.shape == (height, width)
    assert 0 <= warmth.min() < warmth.max() <= 1
    quarters = {
        (far, low): half[:, width // 2 :].sum() if far else half[:, : width // 2].sum()
        for low, half in enumerate((warmth[: height // 2], warmth[height // 2 :]))
        for far in (0, 1)
    }
    assert max(quarters, key=quarters.__getitem__) == corner
    assert quarters[corner] > 0.4 * warmth.sum()
    if side:  # nothing was seen of the rest
        outside = warmth.copy()
        outside[start[1] : start[1] + seen[1], start[0] : start[0] + seen[0]] = 0
        assert not outside.any()


def test_another_class_has_its_own_map(shapes):
    picture = star((128, 128), (36, 36))
    best = shapes.heatmap(picture)
    assert (best.prediction.label, best.layer) == ("star", 14)
    other = shapes.heatmap(picture, index=shapes.dataset.names.index("circle"))
    assert other.prediction.label == "circle"
    assert not np.allclose(other.cells, best.cells)
    assert shapes.heatmap(picture, layer=5).cells.shape == (16, 16)
    assert shapes.heatmap(picture, layer=-3).layer == 14


def test_a_map_lies_where_its_area_says():
    cells = np.float32([[0, 1], [0, 0]])
    guess = Prediction(0, "a", "a", 1.0)
    whole = Heatmap(guess, 0, cells, (0, 0, 1, 1), 4, 4).spread()
    np.testing.assert_allclose(whole[0], [0, 0.25, 0.75, 1])
    half = Heatmap(guess, 0, cells, (0.5, 0, 1, 1), 4, 4).spread()
    np.testing.assert_allclose(half[0], [0, 0, 0, 1])
    beyond = Heatmap(guess, 0, cells, (0, -1, 1, 1), 4, 4).spread()  # letterboxed: the upper row is not of the picture
    assert beyond[-1].max() == 0
    assert beyond[0, -1] == pytest.approx(0.375)
    assert Heatmap(guess, 0, cells, (0, 0, 1, 1), 4, 4).spread(7, 3).shape == (3, 7)


@pytest.mark.parametrize("size", [(-1, 5), (5, 0)])
def test_a_map_of_no_pixels_is_refused(size):
    heatmap = Heatmap(Prediction(0, "a", "a", 1.0), 0, np.float32([[0, 1]]), (0, 0, 1, 1), 4, 4)
    with pytest.raises(UsageError, match="at least 1 x 1 is expected"):
        heatmap.spread(*size)
    with pytest.raises(TypeError):
        heatmap.spread(1.5, 2)


def test_the_class_may_be_a_number_of_numpy(shapes):
    assert type(shapes.heatmap(np.zeros((64, 64, 3), np.uint8), index=np.int64(2)).prediction.index) is int


def test_what_a_crop_layer_leaves_is_where_the_map_lies(tmp_path):
    text = "[net]\nheight=16\nwidth=16\nchannels=3\n[crop]\ncrop_height=8\ncrop_width=4\n[convolutional]\nfilters=3\n"
    (tmp_path / "x.cfg").write_text(text + "size=1\nactivation=linear\n[avgpool]\n[softmax]\n")
    network = load_network(tmp_path / "x.cfg")
    save_weights(tmp_path / "x.weights", random_parameters(network.layers))
    network = load_network(tmp_path / "x.cfg", tmp_path / "x.weights", "reference")
    heatmap = network.heatmap(np.zeros((32, 64, 3), np.uint8), preprocess="stretch")
    assert heatmap.area == (6 / 16, 4 / 16, 10 / 16, 12 / 16)
    boxed = network.heatmap(np.zeros((32, 64, 3), np.uint8), preprocess="letterbox").area
    assert boxed == (6 / 16, -0.5 + 2 * 4 / 16, 10 / 16, -0.5 + 2 * 12 / 16)


def test_layers_without_a_plane_or_a_gradient_are_refused(shapes, tmp_path):
    picture = star((64, 64), (32, 32))
    with pytest.raises(UsageError, match=r"shapes\.cfg: layer 15 has a plane of one cell"):
        shapes.heatmap(picture, layer=15)
    with pytest.raises(UsageError, match="layer 17: it has 17 layers"):
        shapes.heatmap(picture, layer=17)
    with pytest.raises(UsageError, match="class 10: there are 10, from 0"):
        shapes.heatmap(picture, index=10)
    flat = make_network((3, 4, 4), ("connected", dict(output=4)), ("softmax", {}))
    with pytest.raises(UsageError, match="no convolution has a plane"):
        find_layer(flat.layers)
    beside = make_network((3, 4, 4), CONVOLUTION, CONVOLUTION, ("route", dict(layers="-2")), ("softmax", {}))
    with pytest.raises(UsageError, match="layer 1: no answer depends on it"):
        find_layer(beside.layers, 1)
    cropped = make_network((3, 4, 4), CONVOLUTION, ("crop", dict(crop_height=2, crop_width=2)), ("softmax", {}))
    with pytest.raises(CfgError, match=r"no gradient comes through it to layer 0"):
        find_layer(cropped.layers, 0)


def test_a_layer_behind_the_answer_is_refused(tmp_path):
    text = "[net]\nheight=4\nwidth=4\nchannels=3\n[convolutional]\nactivation=linear\n[softmax]\n[cost]\n[cost]\n"
    (tmp_path / "x.cfg").write_text(text)
    network = load_network(tmp_path / "x.cfg")
    save_weights(tmp_path / "x.weights", random_parameters(network.layers))
    network = load_network(tmp_path / "x.cfg", tmp_path / "x.weights", "reference")
    with pytest.raises(UsageError, match=r"x\.cfg: layer 2: no answer depends on it$"):
        network.heatmap(np.zeros((4, 4, 3), np.uint8), layer=2)


def test_what_float32_cannot_hold_is_no_map():
    linear = ("convolutional", dict(activation="linear"))
    layers = make_network((3, 4, 4), CONVOLUTION, linear, linear, ("avgpool", {}), ("softmax", {})).layers
    parameters = random_parameters(layers)
    parameters.values *= 0
    parameters.views[1]["weights"] = parameters.views[2]["weights"] = 1e30
    with (
        pytest.raises(WeightsError, match="layer 0: what speaks for class 0 there is beyond float32"),
        np.errstate(all="ignore"),
    ):
        weigh_cells(layers, parameters, random_array((3, 4, 4)), 0, 0)


def test_the_picture_may_come_as_classify_takes_it(shapes):
    path = ROOT / "data" / "star.png"
    cells = [shapes.heatmap(form).cells for form in (path, path.read_bytes(), Image.open(path))]
    np.testing.assert_array_equal(cells[0], cells[1])
    np.testing.assert_array_equal(cells[0], cells[2])


def test_what_does_not_fit_into_memory_is_refused_before_it_is_tried(monkeypatch):
    network = load_network("shapes", engine="reference")
    network.classify("star.png")
    monkeypatch.setattr(running, "memory_limits", lambda: [Limit("this machine's", 1_200_000, 0)])
    network.classify("star.png")
    for work in (lambda: network.heatmap("star.png"), lambda: network.layer_output(network.fit("star.png")[None], 5)):
        with pytest.raises(CfgError, match=r"shapes\.cfg: 2 MiB to run at 85 x 64, more than this machine's 1 MiB$"):
            work()
