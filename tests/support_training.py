"""What darknet's C program gave in training: recorded runs, and how they are made again."""

from __future__ import annotations

import importlib.util

import numpy as np
from conftest import REFERENCE

FOLDER = REFERENCE / "training"
BATCH, ITERATIONS = 8, 20
UNKNOWN_POLICY = "policy_sig"  # refused here


def load_cases():
    """The module that makes cfgs, weights, pictures and truths of the runs."""
    spec = importlib.util.spec_from_file_location("training_cases", FOLDER / "training_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_expected():
    """What was recorded, by case and name; where a run without the bugs of 2018 was recorded, that one's."""
    with np.load(FOLDER / "expected_training.npz") as recorded:
        found = {name: recorded[name] for name in recorded.files}
    return found | {name.replace("@right", ""): array for name, array in found.items() if "@right" in name}
