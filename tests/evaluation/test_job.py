"""The description of what is measured, for a journal or another machine."""

from __future__ import annotations

import shutil

import pytest
from conftest import ROOT

from darknet_py import WeightsError, load_network
from darknet_py.evaluation.job import make_job


def test_weights_that_changed_since_they_were_loaded_are_refused(tmp_path):
    weights = tmp_path / "x.weights"
    shutil.copy(ROOT / "data" / "shapes.weights", weights)
    network = load_network("cfg/shapes.cfg", weights, engine="reference")
    assert make_job("valid", network, "stretch", 1, 0).weights
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="changed"):
        make_job("valid", network, "stretch", 1, 0)
