"""Drawn shapes in class folders, and a network that learns them in seconds."""

from __future__ import annotations

import sys

import numpy as np
from conftest import ROOT
from support import cfg_text

sys.path.insert(0, str(ROOT / "scripts"))
from draw_shapes import draw

KINDS = ("circle", "crescent", "triangle")
SIDE = 24
CONVOLUTION = {"batch_normalize": 1, "size": 3, "stride": 1, "pad": 1, "activation": "leaky"}


def draw_folders(folder, per_class, seed=0, kinds=KINDS):
    """A folder for each kind of shape, with pictures in it."""
    for truth, kind in enumerate(kinds):
        (folder / kind).mkdir(parents=True)
        for number in range(per_class):
            image = draw(kind, np.random.default_rng([seed, truth, number]), (SIDE, SIDE), "plain")
            image.save(folder / kind / f"{number:04d}.png")
    return folder


def write_cfg(path, outputs=3, **net):
    """The cfg of a small network for the shapes; `net` are options of its first section."""
    own = {
        "width": 16,
        "height": 16,
        "channels": 3,
        "batch": 16,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "decay": 0.0005,
    }
    pool = ("maxpool", {"size": 2, "stride": 2})
    sections = [
        ("net", {**own, "max_crop": 17, **net}),
        ("convolutional", {"filters": 8, **CONVOLUTION}),
        pool,
        ("convolutional", {"filters": 16, **CONVOLUTION}),
        pool,
        ("convolutional", {"filters": 16, **CONVOLUTION}),
        ("convolutional", {"filters": outputs, "size": 1, "activation": "linear"}),
        ("avgpool", {}),
        ("softmax", {}),
    ]
    path.write_text(cfg_text(sections))
    return path
