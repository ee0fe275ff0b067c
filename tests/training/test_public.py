"""Training as a program of a few lines does it, through what the package offers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from conftest import ROOT
from support_trainer import KINDS, draw_folders, write_cfg

import darknet_py

LINES = """
import darknet_py

network = darknet_py.load_network("net.cfg")
network.dataset = darknet_py.load_dataset("shapes.data")
samples = darknet_py.load_samples("pics", network.dataset)
for progress in darknet_py.train(network, samples, settings=darknet_py.TrainingSettings(engine="reference")):
    print(progress.iteration, progress.loss)
darknet_py.save_weights("net.weights", progress.parameters, progress.done)
"""


def test_the_lines_of_the_documentation_train_a_network(tmp_path):
    draw_folders(tmp_path / "pics", 10)
    write_cfg(tmp_path / "net.cfg", max_batches=5)
    (tmp_path / "shapes.names").write_text("".join(f"{kind}\n" for kind in KINDS))
    (tmp_path / "shapes.data").write_text("classes=3\nnames=shapes.names\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LINES]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["1", "2", "3", "4", "5"]
    loaded = darknet_py.load_network(tmp_path / "net.cfg", tmp_path / "net.weights", "reference")
    assert np.isfinite(loaded.parameters.values).all()
    assert loaded.parameters.views[0]["weights"].any()
