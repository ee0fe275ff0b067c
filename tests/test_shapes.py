"""The embedded network, on pictures that neither its training nor its choice has seen."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import ROOT

import darknet_py

sys.path.insert(0, str(ROOT / "scripts"))
from draw_shapes import picture

PICTURES = 1000
SEED = 3  # training's is 1


@pytest.mark.slow
def test_of_1000_pictures_of_another_seed_98_percent_are_named_right():
    net = darknet_py.load_network("cfg/shapes.cfg", "data/shapes.weights")
    net.dataset = darknet_py.load_dataset("data/shapes.data")
    drawn = (picture(SEED, index) for index in range(PICTURES))
    right = sum(net.classify(np.asarray(image), top=1)[0].label == kind for kind, image in drawn)
    assert right >= 0.98 * PICTURES


def test_its_weights_are_small():
    assert (ROOT / "data" / "shapes.weights").stat().st_size <= 300_000
