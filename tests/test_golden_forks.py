"""Answers of AlexeyAB's and pjreddie's programs, recorded, to cfgs with what the fork added; made-up weights.

Small ones with one feature each, and networks that come with the program, each in its program's dialect. Source of the
expected answers: the programs at the commits 59596d78, f6afaabc.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from conftest import GOLDEN, ROOT, run_golden

from darknet_py import load_network
from darknet_py.images.decode import load_image
from darknet_py.images.fit import MODES
from darknet_py.networks import packaged_cfg

ENGINES = ("reference", "cpu")
BOUND = 1e-5  # per probability: the difference that another order of the same additions makes
# For networks whose answers change by more than that with the last bit of their picture.
WEAK, WEAK_BOUND = {"res2netlite72"}, 5e-5
RECORDED = json.loads((GOLDEN / "made_forks.json").read_text())
SMALL = [name for name in RECORDED if name.startswith("tiny-")]
PACKAGED = [name for name in RECORDED if packaged_cfg(name)]
BY_DEFINITION = ("efficientnet_b0", "cifar")  # the reference engine is slow
DIALECTS = {"alexey": "alexeyab", "pjreddie": "darknet"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the small cfgs and the pictures."""
    path = tmp_path_factory.mktemp("forks")
    run_golden("make_images.py", path)
    run_golden("make_tiny_cfgs.py", path)
    return path


@pytest.fixture
def files(folder):
    """The cfg of a name and the weights made for it, which are large."""

    def make(name):
        cfg = ROOT / "cfg" / f"{name}.cfg" if name in PACKAGED else folder / f"{name}.cfg"
        weights = folder / "made.weights"
        run_golden("make_weights.py", cfg, weights, *RECORDED[name].get("flags", "").split())
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == RECORDED[name]["sha256"]
        return cfg, weights

    yield make
    (folder / "made.weights").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        *((name, engine) for name in SMALL for engine in ENGINES),
        *(pytest.param(name, "cpu", marks=pytest.mark.slow) for name in PACKAGED),
        *(pytest.param(name, "reference", marks=pytest.mark.slow) for name in BY_DEFINITION),
    ],
)
@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
def test_recorded_answers(name, engine, folder, files):
    network = load_network(*files(name), engine, threads=1, dialect=DIALECTS[RECORDED[name]["program"]])
    with np.load(GOLDEN / "expected_forks.npz") as arrays:
        answers = {tuple(key.split("/")[1:]): arrays[key] for key in arrays if key.startswith(f"{name}/")}
    assert len(answers) >= 2
    bound = WEAK_BOUND if name in WEAK else BOUND
    for (mode, picture), expected in answers.items():
        if mode in MODES:
            (view,) = network.prepare(load_image(folder / picture), mode)
            error = np.abs(network.predict(view[None])[0] - expected).max()
            assert error <= bound, f"{mode} {picture}: {error:.2g} off"
