"""Pictures of shapes to measure the embedded network on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from conftest import ROOT
from support_cli import environment

from darknet_py.evaluation.job import Job

KINDS = (ROOT / "data" / "shapes.names").read_text().split()
SEED = 3  # training's is 1
_JOB = Job(
    version="0.1.0",
    command="valid",
    preprocess="center-crop",
    engine="cpu",
    precision="float32",
    dialect="darknet",
    cfg="cfg's",
    weights="weights'",
    named=(),
    size=(64, 64),
    keep=5,
    shown=2,
    only_leaves=True,
)


def some_job(**fields):
    """A job like any other, but for these fields."""
    return replace(_JOB, **fields)


def surroundings(cache):
    """The environment of a run; on a busy machine several threads of a matrix product wait for each other."""
    return environment(cache, OPENBLAS_NUM_THREADS="1")


def draw_pictures(folder, count, seed=SEED):
    """Draw pictures into a new folder, of names such as 0001.arrow.png."""
    script = [sys.executable, ROOT / "scripts" / "draw_shapes.py", folder]
    subprocess.run([*script, "--count", str(count), "--seed", str(seed)], check=True)
    (folder / "shapes.list").unlink()
    return folder
