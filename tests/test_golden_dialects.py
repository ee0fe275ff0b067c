"""Each dialect's answers, against the recorded ones of its program."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from conftest import GOLDEN, ROOT, run_golden

from darknet_py import load_network
from darknet_py.errors import DarknetWarning
from darknet_py.images.decode import load_image
from darknet_py.images.fit import preprocess
from darknet_py.layers import ALEXEYAB, DARKNET

MADE = json.loads((GOLDEN / "made_forks.json").read_text())
BOUND = 5e-6
QUICK = ("cifar", "mobilenet-v2", "csmobilenet-v2")
# For these, it is recorded how far the fork's answer to a picture is from darknet's, with the same weights.
PICTURE = "letterbox/small.png"
BOTH = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in (*QUICK, "csresnet50", "csresnext50")
]
# Small networks whose answers are the fork's, and whose weights' header says so.
FORKS = ("batchnorm", "1x1-stride2", "depthwise-multiplier", "dropblock")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder of the synthetic pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    run_golden("make_images.py", folder)
    return folder


def make_weights(name, cfg, folder):
    path = folder / "x.weights"
    run_golden("make_weights.py", cfg, path, *MADE[name].get("flags", "").split())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == MADE[name]["sha256"]
    return path


def compare(network, name, drawn, part=""):
    """The largest difference of the answers from the recorded ones."""
    worst = 0.0
    with np.load(GOLDEN / "expected_forks.npz") as recorded:
        for key in [key for key in recorded if key.startswith(f"{name}/{part}")]:
            _, mode, picture = key.split("/")
            _, height, width = network.input_shape
            (view,) = preprocess(load_image(drawn / picture), mode, width, height)
            worst = max(worst, float(np.abs(network.predict(view[None])[0] - recorded[key]).max()))
    return worst


@pytest.mark.parametrize("name", BOTH)
def test_darknets_answers_are_darknets_and_the_other_dialects_as_far_off_as_the_fork_is(name, drawn, tmp_path):
    cfg = ROOT / "cfg" / f"{name}.cfg"
    weights = make_weights(name, cfg, tmp_path)
    assert MADE[name]["program"] == "pjreddie"
    network = load_network(cfg, weights, "cpu", threads=1)
    assert network.dialect is DARKNET
    assert compare(network, name, drawn) <= BOUND
    apart = compare(load_network(cfg, weights, "cpu", threads=1, dialect="alexeyab"), name, drawn, PICTURE)
    # C's answers and the engine's are rounded on their own: 1.6e-6 were seen.
    assert apart == pytest.approx(MADE[name]["other"], abs=BOUND / 2)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("thing", FORKS)
def test_weights_of_the_forks_version_have_its_dialect_unasked(thing, engine, drawn, tmp_path):
    run_golden("make_tiny_cfgs.py", tmp_path)
    name = f"tiny-{thing}"
    cfg = tmp_path / f"{name}.cfg"
    weights = make_weights(name, cfg, tmp_path)
    assert MADE[name]["program"] == "alexey"
    network = load_network(cfg, weights, engine, threads=1)
    assert network.dialect is ALEXEYAB
    assert compare(network, name, drawn) <= BOUND
    with pytest.warns(DarknetWarning, match=r"version 0\.2\.5, which AlexeyAB's program writes"):
        other = load_network(cfg, weights, engine, threads=1, dialect="darknet")
    assert compare(other, name, drawn) > BOUND / 10
