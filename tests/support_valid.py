"""Pictures of shapes to measure the embedded network on."""

from __future__ import annotations

import sys

from conftest import ROOT
from support_cli import environment

sys.path.insert(0, str(ROOT / "scripts"))
from draw_shapes import KINDS as KINDS
from draw_shapes import picture

SEED = 3  # training's is 1


def surroundings(cache):
    """The environment of a run; on a busy machine several threads of a matrix product wait for each other."""
    return environment(cache, OPENBLAS_NUM_THREADS="1")


def draw_pictures(folder, count, seed=SEED):
    """Draw pictures into a new folder."""
    folder.mkdir()
    for index in range(count):
        kind, image = picture(seed, index)
        image.save(folder / f"{index + 1:04d}.{kind}.png")
    return folder
