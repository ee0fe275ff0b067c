"""The embedded network, on pictures that neither its training nor its choice has seen."""

from __future__ import annotations

import pytest
from conftest import ROOT
from support_valid import draw_pictures

import darknet_py

PICTURES = 1000


@pytest.mark.slow
def test_of_1000_pictures_of_another_seed_98_percent_are_named_right(tmp_path):
    net = darknet_py.load_network("cfg/shapes.cfg", "data/shapes.weights")
    net.dataset = darknet_py.load_dataset("data/shapes.data")
    drawn = draw_pictures(tmp_path / "drawn", PICTURES)
    right = sum(net.classify(file, top=1)[0].label == file.name.split(".")[1] for file in drawn.iterdir())
    assert right >= 0.98 * PICTURES


def test_its_weights_are_small():
    assert (ROOT / "data" / "shapes.weights").stat().st_size <= 300_000
