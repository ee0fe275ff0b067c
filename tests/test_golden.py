"""Answers of the C program, recorded, against ours: made-up weights of fifteen networks, and a trained one."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
from conftest import GOLDEN, REFERENCE, ROOT, needs_reference, run_golden
from support import FIFTEEN

from darknet_py import load_network
from darknet_py.images.decode import load_image
from darknet_py.images.fit import MODES, preprocess

# Per probability: the difference that another order of the same additions makes.
BOUNDS = {"reference": 1e-5, "cpu": 5e-5}
QUICK = ("tiny", "darknet", "resnet18")
WITHOUT_PHOTOGRAPHS = ("darknet53", "resnet18", "resnet34", "resnet101", "resnext50")
# The reference engine is slow: on the other networks it runs where DARKNET_PY_ALL=1 asks for it.
ALL = os.environ.get("DARKNET_PY_ALL") == "1"
CASES = [
    pytest.param(name, engine, marks=() if name in QUICK else pytest.mark.slow, id=f"{name}-{engine}")
    for name in FIFTEEN
    for engine in BOUNDS
    if ALL or name in QUICK or engine == "cpu"
]


def recorded(file):
    """The recorded answers by network (or mode), then by the rest of their keys."""
    answers = {}
    with np.load(file) as arrays:
        for key in arrays:
            first, rest = key.split("/", 1)
            answers.setdefault(first, {})[rest] = arrays[key]
    return answers


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder of the synthetic pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    run_golden("make_images.py", folder)
    return folder


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """The file with a network's made-up weights; they are large, so only the last one asked for is kept."""
    folder = tmp_path_factory.mktemp("made-up")
    expected = json.loads((GOLDEN / "made_weights.json").read_text())

    def make(name):
        path = folder / f"{name}.weights"
        if not path.exists():
            for other in folder.iterdir():
                other.unlink()
            old_header = ["--old-header"] if name == "tiny" else []
            run_golden("make_weights.py", ROOT / "cfg" / f"{name}.cfg", path, *old_header)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == expected[name]["sha256"]
        return path

    yield make
    for left in folder.iterdir():
        left.unlink()


def load(name, weights, engine):
    """A network on one thread: its answers are those of several, and other work on the machine slows it less."""
    return load_network(f"cfg/{name}.cfg", weights, engine, threads=1)


def predict(network, path, mode):
    """The network's answer to a picture; the sum of its answers where the mode makes several inputs."""
    inputs = preprocess(load_image(path), mode, network.input_shape.width, network.input_shape.height)
    return sum(network.predict(view[None])[0] for view in inputs)


def check_answers(network, answers, folder, bound):
    """Check every probability within `bound`, and the order of all pairs that are further apart than that."""
    for key, expected in answers.items():
        mode, picture = key.split("/")
        probabilities = predict(network, folder / picture, mode)
        assert probabilities.dtype == np.float32
        error = np.abs(probabilities - expected).max()
        assert error <= bound, f"{key}: {error:.2g} off"
        apart = expected[:, None] - expected > bound
        assert (probabilities[:, None] > probabilities)[apart].all(), f"{key}: another order"


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_made_up_weights_give_the_recorded_answers(name, engine, made_up, drawn):
    network = load(name, made_up(name), engine)
    check_answers(network, recorded(GOLDEN / "expected_synthetic.npz")[name], drawn, BOUNDS[engine])


@needs_reference
@pytest.mark.parametrize(
    ("name", "engine"),
    [case for case in CASES if (ALL or case.values[0] in QUICK) and case.values[0] not in WITHOUT_PHOTOGRAPHS],
)
def test_made_up_weights_give_the_recorded_answers_to_photographs(name, engine, made_up):
    network = load(name, made_up(name), engine)
    check_answers(network, recorded(REFERENCE / "expected_photos.npz")[name], REFERENCE / "images", BOUNDS[engine])


@pytest.fixture(scope="module")
def trained():
    return load("tiny", REFERENCE / "real" / "tiny.weights", "cpu")


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "stretch"])
def test_trained_network_gives_the_recorded_answers_to_jpeg_photographs(mode, trained):
    """JPEG decoders differ by a step in a pixel here and there."""
    views = {"ten-crop": 10, "multi": 8}.get(mode, 1)
    for name, expected in recorded(REFERENCE / "real" / "expected.npz")[mode].items():
        probabilities = predict(trained, REFERENCE / "real" / "images" / name, mode)
        assert np.abs(probabilities - expected).max() <= 0.02 * views, name
        best, second = np.sort(expected)[:-3:-1]
        assert probabilities.argmax() == expected.argmax() or best - second <= 0.001 * views, name


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["shorter", "center-crop"])
def test_bfloat16_names_the_same_first_class(mode, trained):
    """On 49 of the 50 photographs at least, as `predict` and `valid` fit them."""
    weights = REFERENCE / "real" / "tiny.weights"
    narrow = load_network(ROOT / "cfg" / "tiny.cfg", weights, engine="cpu", precision="bfloat16")
    pictures = sorted((REFERENCE / "real" / "images").iterdir())
    assert len(pictures) == 50
    same = [predict(narrow, picture, mode).argmax() == predict(trained, picture, mode).argmax() for picture in pictures]
    assert sum(same) >= 49


@needs_reference
def test_trained_network_knows_the_dog(trained):
    assert trained.classify(REFERENCE / "images" / "dog.png")[0].label == "malamute"
