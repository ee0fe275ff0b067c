"""What a worker of a cluster measures: with the network that the coordinator has."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support import cfg_text, random_parameters
from support_hierarchy import OTHER_PARENTS, tree_text, write_hierarchy

from darknet_py import load_network
from darknet_py.errors import DarknetWarning
from darknet_py.evaluation.evaluator import Evaluator, Pending
from darknet_py.evaluation.job import make_job, network_files
from darknet_py.network import load_structure
from darknet_py.weights import save_weights

pytest.importorskip("distributed", reason="distributed is not installed (the extra [cluster])")
from darknet_py.evaluation import worker

UNKNOWN = "zzz=1: unknown option, ignored"
STAR = Pending(0, "star.png", str(ROOT / "data" / "star.png"))


@pytest.fixture
def here(monkeypatch):
    """A worker in this process, which has loaded nothing."""
    here = SimpleNamespace(address="tcp://x:1", plugins={})
    monkeypatch.setattr(worker, "get_worker", lambda: here)
    monkeypatch.setattr(worker, "_opened", {})
    return here


def measure(network, job, image=STAR):
    return worker.measure(job, {digest: str(path) for digest, path in network_files(network, job).items()}, [image], 8)


def test_a_network_that_was_resized_is_measured_at_its_present_size(here):
    network = load_network(ROOT / "cfg" / "shapes.cfg", ROOT / "data" / "shapes.weights", "reference")
    jobs = [make_job("evaluate", network, "stretch", 5, 0)]
    found = [measure(network, jobs[0])]
    network.resize(32, 48)
    jobs.append(make_job("evaluate", network, "stretch", 5, 0))
    found.append(measure(network, jobs[1]))
    assert found[1] == Evaluator(network, jobs[1]).evaluate([STAR]) != found[0]


def upload(here, network, job, folder):
    """Send a worker the network's files, into `folder`."""
    contents = {digest: path.read_bytes() for digest, path in network_files(network, job).items()}
    sent = worker.Upload(contents)
    sent.setup(SimpleNamespace(local_directory=str(folder)))
    here.plugins[sent.name] = sent


def test_files_that_the_cfg_names_are_sent_and_found(here, tmp_path):
    """Also where files of these names lie that are others."""
    _, *files = write_hierarchy(tmp_path)
    network = load_network(*files, engine="reference")
    job = make_job("evaluate", network, "stretch", 8, 0)
    (tmp_path / "x.tree").rename(tmp_path / "kept.tree")
    refused = measure(network, job)
    assert str(refused) == f"tcp://x:1: {tmp_path / 'x.tree'}: is not there, or differs"
    assert refused.missing
    (tmp_path / "x.tree").write_text(tree_text(OTHER_PARENTS))
    assert measure(network, job) == refused
    (tmp_path / "kept.tree").replace(tmp_path / "x.tree")
    (tmp_path / "sent").mkdir()
    upload(here, network, job, tmp_path / "sent")
    for file in (*files, tmp_path / "x.tree"):
        Path(file).unlink()
    assert measure(network, job) == Evaluator(network, job).evaluate([STAR])


def test_a_network_whose_tree_changed_is_loaded_anew(here, tmp_path):
    _, *files = write_hierarchy(tmp_path)
    found = []
    for _ in range(2):
        network = load_network(*files, engine="reference")
        job = make_job("evaluate", network, "stretch", 8, 0)
        found.append(measure(network, job))
        assert found[-1] == Evaluator(network, job).evaluate([STAR])
        (tmp_path / "x.tree").write_text(tree_text(OTHER_PARENTS))
    assert found[0] != found[1]


def test_a_worker_that_refuses_is_named(here, tmp_path):
    _, *files = write_hierarchy(tmp_path)
    network = load_network(*files, engine="reference")
    job = replace(make_job("evaluate", network, "stretch", 8, 0), engine="none")
    refused = measure(network, job)
    assert str(refused).startswith("tcp://x:1: ")
    assert not refused.missing


def test_a_worker_is_silent_about_what_the_coordinator_tells_and_about_pictures(tmp_path, here):
    """About a cfg that says something unknown, and a strip that is fitted in another way than others."""
    cfg, weights, strip = (str(tmp_path / name) for name in ("x.cfg", "x.weights", "x.png"))
    sections = [("net", {"channels": 3, "height": 64, "width": 64, "zzz": 1}), ("avgpool", {}), ("softmax", {})]
    (tmp_path / "x.cfg").write_text(cfg_text(sections))
    Image.fromarray(np.zeros((1, 9000, 3), np.uint8)).save(strip)
    with pytest.warns(DarknetWarning, match=UNKNOWN):
        save_weights(weights, random_parameters(load_structure(cfg).layers))
    with pytest.warns(DarknetWarning, match=UNKNOWN):
        network = load_network(cfg, weights, "reference")
    job = make_job("valid", network, "shorter", 1, 1)
    with pytest.warns(DarknetWarning, match="too long a strip"):
        network.classify(strip)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (outcome,) = measure(network, job, Pending(0, "x.png", strip))
    assert (outcome.index, outcome.error) == (0, "")
    assert told == []
