"""What a worker does with a task."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support import cfg_text, random_parameters

from darknet_py.classifier import load_network
from darknet_py.errors import DarknetWarning
from darknet_py.evaluation import worker
from darknet_py.evaluation.evaluator import Pending
from darknet_py.evaluation.job import make_job
from darknet_py.network import load_structure
from darknet_py.weights import save_weights

UNKNOWN = "zzz=1: unknown option, ignored"


def test_a_worker_is_silent_about_what_the_coordinator_tells_and_about_pictures(tmp_path, monkeypatch):
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
    monkeypatch.setattr(worker, "get_worker", lambda: SimpleNamespace(plugins={}, address="x:1"))
    monkeypatch.setattr(worker, "_opened", {})
    with pytest.warns(DarknetWarning, match="too long a strip"):
        network.classify(strip)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (outcome,) = worker.measure(job, cfg, weights, [Pending(0, "x.png", strip)], 8)
    assert (outcome.index, outcome.error) == (0, "")
    assert told == []
