"""Cfgs as people write them: small networks, grey ones, those without pictures, and what darknet's programs ignore."""

from __future__ import annotations

import hashlib
import json
import warnings

import numpy as np
import pytest
from conftest import GOLDEN, ROOT, run_golden
from support import random_parameters

from darknet_py import load_network
from darknet_py.cfg import load_cfg
from darknet_py.cli import main
from darknet_py.errors import DarknetWarning, UsageError
from darknet_py.images.decode import load_image
from darknet_py.network import Network, load_structure
from darknet_py.weights import save_weights

MADE = json.loads((GOLDEN / "made_forks.json").read_text())
PICTURE = ROOT / "data" / "star.png"
NET = "[net]\nheight=28\nwidth=28\nchannels={}\n"
LENET = (
    "[conv]\nfilters={}\nsize=5\npad=1\nactivation={}\n[maxpool]\nstride=2\n"
    "[conv]\nfilters={}\nsize=5\npad=1\nactivation={}\n[maxpool]\nstride=2\n"
    "[connected]\noutput={}\nactivation=relu\n[connected]\noutput=10\nactivation=linear\n[softmax]\n"
)


def convolutions(*shapes, activation="leaky", normalized=1):
    """One of filters, size and stride; a maxpool of size and stride; avgpool for ()."""
    conv = f"[conv]\nbatch_normalize={normalized}\npad=1\nactivation={activation}\n"
    texts = {
        3: conv + "filters={}\nsize={}\nstride={}\n",
        2: "[maxpool]\nsize={}\nstride={}\n",
        0: "[avgpool]\n",
    }
    return "".join(texts[len(shape)].format(*shape) for shape in shapes)


def square(side):
    return f"[net]\nheight={side}\nwidth={side}\nchannels=3\n"


def fire(squeezed, expanded):
    """Of SqueezeNet."""
    one, three = (convolutions((expanded, size, 1), activation="relu", normalized=0) for size in (1, 3))
    first = convolutions((squeezed, 1, 1), activation="relu", normalized=0)
    return f"{first}{one}[route]\nlayers=-2\n{three}[route]\nlayers=-3,-1\n"


# Networks of several people, in our words.
PEOPLES = {
    "k5iogura-cifar_minin": square(32)
    + convolutions((32, 3, 1), (3, 3), (32, 1, 1), (32, 1, 1), (3, 3), normalized=0)
    + convolutions((3, 1, 1), ())
    + "[cost]\ntype=sse\n",
    "k5iogura-ttt4_pre": square(360)
    + convolutions((6, 3, 1), (2, 2), (12, 3, 1), (4, 4), (36, 3, 1), (5, 5), (144, 3, 1), (15, 3, 1), ())
    + "[softmax]\ngroups=1\n[cost]\n",
    "mofanv-cifar_small": square(28)
    + convolutions((16, 3, 1), (2, 2), (8, 1, 1), (32, 3, 1), (2, 2), (16, 1, 1), (64, 3, 1), (32, 1, 1))
    + convolutions((10, 1, 1), (1, 1), normalized=0)
    + "[connected]\noutput=10\nactivation=linear\n[softmax]\n",
    "MICL-AI-squeezenet": square(227)
    + "[crop]\ncrop_width=227\ncrop_height=227\nflip=0\n"
    + convolutions((64, 3, 2), (3, 2), activation="relu", normalized=0).replace("pad=1", "pad=0")
    + f"{2 * fire(16, 64)}{convolutions((3, 2))}{2 * fire(32, 128)}{convolutions((3, 2))}"
    + f"{2 * fire(48, 192)}{2 * fire(64, 256)}[dropout]\n"
    + convolutions((1000, 1, 1), (), activation="relu", normalized=0)
    + "[softmax]\n[cost]\n",
    "gmayday1997-efficientnet_b0_mnist": (ROOT / "cfg" / "efficientnet_b0.cfg")
    .read_text()
    .replace("=224\n", "=28\n")
    .replace("filters=1000\n", "filters=10\n"),
    "GokulNC-mnist_lenet": NET.format(3) + LENET.format(32, "relu", 64, "relu", 1024),
    "gaoxinge-cifar_simple": NET.format(3) + "[connected]\noutput=10\n[softmax]\n",
    "hdchenjian-mnist": NET.format(1) + LENET.format(20, "linear", 50, "linear", 500),
}


@pytest.mark.parametrize("name", PEOPLES)
def test_small_networks_give_the_recorded_answers_in_colour_and_in_grey(name, tmp_path):
    cfg, weights = tmp_path / "x.cfg", tmp_path / "x.weights"
    cfg.write_text(PEOPLES[name])
    run_golden("make_images.py", tmp_path)
    run_golden("make_weights.py", cfg, weights)
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == MADE[name]["sha256"]
    dialect = {"pjreddie": "darknet", "alexey": "alexeyab"}[MADE[name]["program"]]
    network = load_network(cfg, weights, engine="reference", dialect=dialect)
    with np.load(GOLDEN / "expected_forks.npz") as recorded:
        found = {key: recorded[key] for key in recorded if key.startswith(f"{name}/")}
    assert len(found) >= 3
    for key, expected in found.items():
        _, mode, picture = key.split("/")
        (view,) = network.prepare(load_image(tmp_path / picture), mode)
        assert view.flags.c_contiguous
        assert np.abs(network.predict(view[None])[0] - expected).max() <= 3e-6


@pytest.mark.parametrize("mode", ["shorter", "letterbox", "center-crop", "stretch"])
def test_a_grey_picture_is_the_same_in_grey(mode, tmp_path):
    (tmp_path / "x.cfg").write_text("[net]\nheight=9\nwidth=9\nchannels=1\n[conv]\nsize=1\n[avgpool]\n[softmax]\n")
    save_weights(tmp_path / "x.weights", random_parameters(load_structure(tmp_path / "x.cfg").layers))
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (20, 30, 1), np.uint8), 3, axis=2)
    (one,) = load_network(tmp_path / "x.cfg", tmp_path / "x.weights", engine="reference").prepare(grey, mode)
    (tmp_path / "x.cfg").write_text("[net]\nheight=9\nwidth=9\nchannels=3\n[conv]\nsize=1\n[avgpool]\n[softmax]\n")
    (three,) = load_network(tmp_path / "x.cfg").prepare(grey, mode)
    assert len(one) == 1
    assert (one[0] == three[0]).all()


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        ("inputs=3", "takes 3 numbers, not pictures: its [net] says inputs= in the place of height and width"),
        ("inputs=32", "takes 32 numbers, not pictures: its [net] says inputs= in the place of height and width"),
        ("height=4\nwidth=4\nchannels=2", "takes 2 channels; pictures have 3, or 1 in grey"),
    ],
)
def test_what_takes_no_pictures_refuses_them_once_and_takes_batches(net, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.cfg").write_text(f"[net]\n{net}\n[connected]\noutput=2\n[softmax]\n")
    (tmp_path / "x.data").write_text("classes=2\nnames=x.names\n")
    (tmp_path / "x.names").write_text("a\nb\n")
    save_weights("x.weights", random_parameters(load_structure("x.cfg").layers))
    network = load_network("x.cfg", "x.weights", engine="reference")
    with pytest.raises(UsageError) as error:
        network.classify(PICTURE)
    assert str(error.value) == f"x.cfg: {reason}"
    assert network.predict(np.zeros((2, *network.input_shape), np.float32)).shape == (2, 2)
    words = ("x.data", "x.cfg", "x.weights", str(PICTURE), str(PICTURE), "--engine", "reference")
    assert main(["classifier", "predict", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [f"darknet: x.cfg: {reason}"]


# What the programs ignore


def rewritten(tmp_path, text):
    (tmp_path / "x.cfg").write_bytes(text.encode())
    return Network(load_cfg(tmp_path / "x.cfg"), "x.cfg")


ORIGINAL = (ROOT / "cfg" / "extraction.cfg").read_text()


@pytest.mark.parametrize(
    "text",
    [
        ORIGINAL.replace("\n", "\r\n"),
        ORIGINAL.replace("\n", " \t\r\n"),
        ORIGINAL.replace("]\n", "] #2\n"),
        ORIGINAL.replace("]\n", "]   ; two = 2\n"),
        ORIGINAL.replace("=", " = ").replace("size", "\tsize"),
    ],
    ids=["CR", "blanks and CR", "comments behind names", "others", "blanks"],
)
def test_what_says_the_same_is_taken_without_a_word(text, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = rewritten(tmp_path, text)
    assert network.describe() == load_structure("cfg/extraction.cfg").describe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ORIGINAL + "\n1\n", "1: key=value is expected; ignored"),
        (ORIGINAL.replace("subdivisions=", "subdivisiions="), "unknown option, ignored; did you mean subdivisions?"),
    ],
)
def test_what_changes_no_answer_gets_a_warning(text, message, tmp_path):
    with pytest.warns(DarknetWarning) as told:
        network = rewritten(tmp_path, text)
    assert len(told) == 1
    assert str(told[0].message).endswith(message)
    assert network.describe() == load_structure("cfg/extraction.cfg").describe()
