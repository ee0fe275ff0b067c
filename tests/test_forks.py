"""Answers of AlexeyAB's and pjreddie's programs, recorded, to cfgs with what the fork added; made-up weights.

Small ones with one feature each, and published networks. Source of the expected answers: the programs at the commits
59596d78, f6afaabc.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import GOLDEN
from support_forks import fork_networks

from darknet_py.engines import open_engine
from darknet_py.images.decode import load_image
from darknet_py.images.fit import MODES, preprocess
from darknet_py.layers.activations import ACTIVATIONS
from darknet_py.network import load_structure
from darknet_py.weights import load_weights

# Per probability; what other orders of the same additions come to.
BOUNDS = {"reference": 1e-5, "cpu": 5e-5}
# Of networks that answer to a last bit of their picture by more than that.
WEAK, WEAK_BOUND = {"res2netlite72"}, 2e-4
RECORDED = json.loads((GOLDEN / "made_forks.json").read_text())
NETWORKS = fork_networks()
# The activations that some small cfgs are about, where their names do not say so.
ACTIVATION = {
    **dict.fromkeys(("tiny-share-index", "tiny-shortcut-fewer"), "mish"),
    "tiny-shortcut-many": "swish",
    "efficientnet_b0": "swish",
    **{f"tiny-norm_chan{end}": f"normalize_channels{end}" for end in ("", "_softmax", "_softmax_maxval")},
    **{f"tiny-{name}": name for name in ("mish", "swish", "hard_mish", "gelu", "revleaky")},
}


def case(name, engine):
    needed = ACTIVATION.get(name, "linear")
    marks = [pytest.mark.skipif(needed not in ACTIVATIONS, reason=f"the activation {needed} is not there yet")]
    return pytest.param(name, engine, marks=marks if name not in NETWORKS else [*marks, pytest.mark.slow])


def run_script(name, *arguments):
    subprocess.run([sys.executable, str(GOLDEN / name), *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the cfgs and the pictures lie."""
    path = tmp_path_factory.mktemp("forks")
    run_script("make_images.py", path)
    run_script("make_tiny_cfgs.py", path)
    for name, (_, cfg) in NETWORKS.items():
        (path / f"{name}.cfg").write_text(cfg)
    return path


@pytest.fixture
def files(folder):
    """The cfg of a name and the weights made for it, which are large."""

    def make(name):
        cfg, weights = folder / f"{name}.cfg", folder / "made.weights"
        run_script("make_weights_forks.py", cfg, weights, *RECORDED[name].get("flags", "").split())
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == RECORDED[name]["sha256"]
        return cfg, weights

    yield make
    (folder / "made.weights").unlink(missing_ok=True)


def add_its_own(parameters):
    """Change variances so that darknet's 1e-6, added to their root, comes to the fork's 1e-5, added to themselves."""
    for entry in parameters.entries:
        if entry.name == "variances":
            variances = entry.find(parameters.values).astype(np.float64)
            entry.find(parameters.values)[...] = (np.sqrt(variances + 1e-5) - 1e-6) ** 2


@pytest.mark.parametrize(("name", "engine"), [case(name, engine) for name in RECORDED for engine in BOUNDS])
@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
def test_recorded_answers(name, engine, folder, files):
    cfg, weights = files(name)
    network = load_structure(cfg)
    parameters = load_weights(weights, network).read_all()
    if RECORDED[name]["program"] == "alexey":
        add_its_own(parameters)
    plan = open_engine(engine, network.layers, parameters, 1).plan(network.layers)
    with np.load(GOLDEN / "expected_forks.npz") as arrays:
        answers = {tuple(key.split("/")[1:]): arrays[key] for key in arrays if key.startswith(f"{name}/")}
    assert len(answers) >= 2
    bound = WEAK_BOUND if name in WEAK else BOUNDS[engine]
    for (mode, picture), expected in answers.items():
        if mode in MODES:
            (view,) = preprocess(load_image(folder / picture), mode, *network.input_shape[:0:-1])
            error = np.abs(plan.run(view[None])[0] - expected).max()
            assert error <= bound, f"{mode} {picture}: {error:.2g} off"


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_have_their_layers(name, folder):
    if ACTIVATION.get(name, "linear") not in ACTIVATIONS:
        pytest.skip(f"the activation {ACTIVATION[name]} is not there yet")
    count, _ = NETWORKS[name]
    assert len(load_structure(folder / f"{name}.cfg").layers) == count
