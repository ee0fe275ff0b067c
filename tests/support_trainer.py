"""Drawn shapes in class folders, and a network that learns them in seconds."""

from __future__ import annotations

import numpy as np
from PIL import Image
from support import cfg_text

# Whether a place is inside a shape of radius 1: by its x, y, its distance r from the middle, and its angle.
SHAPES = {
    "circle": lambda x, y, r, angle: r < 1,
    "crescent": lambda x, y, r, angle: (r < 1) & (np.hypot(x - 0.5, y) > 0.8),
    "ring": lambda x, y, r, angle: (r < 1) & (r > 0.6),
    "star": lambda x, y, r, angle: r < 0.6 + 0.4 * np.cos(5 * angle),
    "triangle": lambda x, y, r, angle: r * np.cos((angle % (2 * np.pi / 3)) - np.pi / 3) < 0.5,
}
KINDS = ("circle", "crescent", "triangle")
SIDE = 24
CONVOLUTION = {"batch_normalize": 1, "size": 3, "stride": 1, "pad": 1, "activation": "leaky"}


def draw(kind, rng):
    """A picture of one shape, in any place, size, rotation, and two colours that differ."""
    radius, turn = SIDE * rng.uniform(0.3, 0.45), rng.uniform(0, 2 * np.pi)
    slack = SIDE / 2 - radius
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2 - rng.uniform(-slack, slack, (2, 1, 1))) / radius
    r, angle = np.hypot(x, y), np.arctan2(y, x) + turn
    inside = SHAPES[kind](r * np.cos(angle), r * np.sin(angle), r, angle)[..., None]
    dark, bright = rng.uniform(0, 100, 3), rng.uniform(150, 255, 3)
    ground, colour = (dark, bright) if rng.random() < 0.5 else (bright, dark)
    return Image.fromarray(np.where(inside, colour, ground).astype(np.uint8))


def draw_folders(folder, per_class, kinds=KINDS):
    """A folder for each kind of shape, with pictures in it."""
    for truth, kind in enumerate(kinds):
        (folder / kind).mkdir(parents=True)
        for number in range(per_class):
            image = draw(kind, np.random.default_rng([0, truth, number]))
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
