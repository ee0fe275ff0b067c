"""Pictures of shapes to measure the embedded network on."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT
from support_cli import environment

KINDS = (ROOT / "data" / "shapes.names").read_text().split()
SEED = 3  # training's is 1


def surroundings(cache):
    """The environment of a run; on a busy machine several threads of a matrix product wait for each other."""
    return environment(cache, OPENBLAS_NUM_THREADS="1")


def draw_pictures(folder, count, seed=SEED):
    """Draw pictures into a new folder, of names such as 0001.arrow.png."""
    script = [sys.executable, ROOT / "scripts" / "draw_shapes.py", folder]
    subprocess.run([*script, "--count", str(count), "--seed", str(seed)], check=True)
    (folder / "shapes.list").unlink()
    return folder
