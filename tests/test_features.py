"""A layer's output for pictures: `Classifier.features`, and the command `classifier features`."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support import assert_close, random_parameters

from darknet_py import CfgError, Classifier, UsageError, WeightsError, load_network, save_weights
from darknet_py.cli import main
from darknet_py.network import load_structure

# Layers that engines join, overwrite or do not compute: each must have the output that it has by its definition.
CFG = """[net]
channels=3
height=16
width=16
[convolutional]
batch_normalize=1
filters=16
size=3
pad=1
activation=leaky
[convolutional]
filters=16
size=1
activation=linear
[shortcut]
from=-2
activation=leaky
[dropout]
[route]
layers=-1,0
[maxpool]
size=2
stride=2
[activation]
activation=relu
[convolutional]
filters=5
size=1
activation=linear
[avgpool]
[softmax]
[cost]
"""
LAYERS = 10
STAR = ROOT / "data" / "star.png"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a network, and pictures of two shapes in ``p``, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.cfg").write_text(CFG)
    (tmp_path / "x.data").write_text("classes=5\nnames=x.names\n")
    (tmp_path / "x.names").write_text("a\nb\nc\nd\ne\n")
    save_weights("x.weights", random_parameters(load_structure("x.cfg").layers))
    (tmp_path / "p" / "q").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, size in (("a.png", (20, 20)), ("c.png", (30, 20)), ("q/d.png", (20, 20))):
        Image.fromarray(random.integers(255, size=(*size, 3), dtype=np.uint8)).save(tmp_path / "p" / name)
    (tmp_path / "p" / "b.png").write_bytes(b"no picture")
    return tmp_path


@pytest.fixture
def pictures(folder):
    return [np.asarray(Image.open(folder / "p" / name)) for name in ("a.png", "c.png", "q/d.png")]


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_every_layer_gives_what_its_definition_says(pictures, engine, layer):
    net = load_network("x.cfg", "x.weights", engine)
    for size in (16, 12):  # other sizes than the cfg's, too
        batch = np.stack([net.fit(picture, "letterbox") for picture in pictures])[:, :, :size]
        expected = net.layer_output(batch, layer)
        assert_close(net.predict(batch, layer), expected, 5e-5)
        assert_close(net.predict(batch, layer - LAYERS - 1), expected, 5e-5)
    planes = net.features(pictures, layer, pool=False, preprocess="letterbox")
    assert planes.shape == (3, *net.layers[layer].shape)
    assert_close(net.features(pictures, layer, preprocess="letterbox"), planes.mean(axis=(2, 3)), 1e-6)
    assert_close(net.features(pictures[0], layer, preprocess="letterbox"), planes[0].mean(axis=(1, 2)), 1e-6)


def test_asking_for_a_layer_leaves_the_answers_as_they_are(pictures):
    net = load_network("x.cfg", "x.weights", "cpu")
    before = net.classify(pictures)
    kept = {layer: net.features(pictures, layer) for layer in range(LAYERS)}
    assert net.classify(pictures) == before
    fork = net.fork(1)
    for layer, features in kept.items():
        np.testing.assert_array_equal(net.features(pictures, layer), features)
        np.testing.assert_array_equal(fork.features(pictures, layer), features)


def test_pictures_of_several_shapes_and_more_than_a_batch_keep_their_order(pictures):
    net = load_network("x.cfg", "x.weights", "cpu")
    several = net.features(pictures * 7, 2)
    alone = [net.features(picture, 2) for picture in pictures]
    np.testing.assert_allclose(several, alone * 7, rtol=0, atol=1e-6)
    assert net.features([], 2).shape == (0, 16)
    with pytest.raises(
        UsageError, match=r"features of 16 x 16 x 16 and 16 x 24 x 16, of pictures of several .*: preprocess=l"
    ):
        net.features(pictures, 2, pool=False)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (11, UsageError, "x.cfg: layer 11: it has 11 layers, from 0"),
        (-12, UsageError, "x.cfg: layer -12: it has 11 layers, from 0"),
        (-1, CfgError, r"x.cfg:32: \[cost\]: layer 10 has no output: it is for training alone"),
    ],
)
def test_layers_that_are_not_there_are_refused(pictures, layer, error, message):
    with pytest.raises(error, match=message):
        load_network("x.cfg", "x.weights", "reference").features(pictures, layer)


def features(*arguments):
    return main(["classifier", "features", "x.data", "x.cfg", "x.weights", *arguments, "--engine", "reference"])


def test_rows_of_pictures_that_fail_keep_their_places(folder):
    bad, good = "p/b.png", "p/a.png"
    assert features(bad, bad, good, bad, "--layer", "-4", "--save", "x.npy", "--batch", "1") == 3
    assert np.isnan(np.load("x.npy")).all(axis=1).tolist() == [True, True, False, True]


def test_the_command_saves_a_row_for_each_picture_and_tells_their_order(folder, capsys):
    (folder / "some.list").write_text("p/c.png\n\np/a.png\n")
    code = features("p", "some.list", "--layer", "-4", "--save", "x.npy", "--batch", "2")
    out, err = capsys.readouterr()
    assert code == 3
    assert out.splitlines() == ["p/a.png", "p/b.png", "p/c.png", "p/q/d.png", "p/c.png", "p/a.png"]
    assert "darknet: p/b.png: not a picture" in err
    assert err.splitlines()[-1] == "darknet: x.npy: layer 7 [convolutional], 6 x 5, 1 of them failed"
    rows = np.load("x.npy")
    assert rows.dtype == np.float32
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False, False, False, False]
    expected = load_network("x.cfg", "x.weights", "reference").features(["p/a.png", "p/c.png", "p/q/d.png"], 7)
    np.testing.assert_allclose(rows[[0, 2, 3]], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(rows[[4, 5]], rows[[2, 0]])


def test_the_command_saves_planes(folder, capsys):
    (folder / "p" / "b.png").unlink()
    assert features("p", "--layer", "5", "--save", "x.npy", "--no-pool", "--preprocess", "letterbox") == 0
    assert np.load("x.npy").shape == (3, 32, 8, 8)
    assert features("p", "--layer", "5", "--save", "y.npy", "--no-pool") == 2
    says = "pictures of several proportions; pool them, or fit all alike: --preprocess letterbox"
    assert capsys.readouterr().err.endswith(f"darknet: features of 32 x 8 x 8 and 32 x 12 x 8, of {says}\n")
    assert not (folder / "y.npy").exists()


def test_a_picture_that_the_network_cannot_run_takes_no_row_of_the_others(folder, capsys, monkeypatch):
    run = Classifier.predict

    def predict(self, batch, layer=None):
        if len(batch) > 1:
            raise MemoryError
        if batch.shape[2] != batch.shape[3]:
            raise WeightsError("gives NaN", file="x.cfg")
        return run(self, batch, layer)

    expected = load_network("x.cfg", "x.weights", "reference").features(["p/a.png", "p/q/d.png"], 7)
    monkeypatch.setattr(Classifier, "predict", predict)
    assert features("p", "--layer", "7", "--save", "x.npy") == 3
    err = capsys.readouterr().err.splitlines()
    assert err[-2:] == [
        "darknet: p/c.png: x.cfg: gives NaN",
        "darknet: x.npy: layer 7 [convolutional], 4 x 5, 2 of them failed",
    ]
    rows = np.load("x.npy")
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(rows[[0, 3]], expected)


def test_where_every_picture_fails_nothing_is_written(folder, capsys):
    assert features("p/b.png", "nothing.png", "--layer", "0", "--save", "x.npy") == 1
    assert not (folder / "x.npy").exists()
    assert len(capsys.readouterr().err.splitlines()[-1:]) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--layer", "0", "--save", "x.npy"), "a picture is missing; [DATA] CFG WEIGHTS IMAGE ... is expected"),
        (("p", "--layer", "0", "--save", "x.csv"), "--save x.csv: a name that ends in .npy is expected"),
        (("p", "--layer", "0", "--save", "no/x.npy"), "--save no/x.npy: no file can be written there"),
        (("p", "--layer", "last", "--save", "x.npy"), "--layer: last: not a number; an integer is expected"),
        (("p", "--layer", "20", "--save", "x.npy"), "x.cfg: layer 20: it has 11 layers, from 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused(folder, capsys, words, says):
    assert features(*words) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"darknet: {says}")


def test_an_engine_is_opened_for_that_layer_alone(folder, monkeypatch):
    opened = []
    from darknet_py import running

    real = running.open_engine
    monkeypatch.setattr(
        running, "open_engine", lambda name, layers, *rest: opened.append(len(layers)) or real(name, layers, *rest)
    )
    shutil.rmtree(folder / "p" / "q")
    assert features("p/a.png", "--layer", "3", "--save", "x.npy") == 0
    assert opened == [4]
