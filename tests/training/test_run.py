"""Iterations with their updates, held to recorded runs of the C program."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import needs_reference
from support_training import BATCH, ITERATIONS, OTHERWISE, load_cases, load_expected

from darknet_py.classifier import load_network
from darknet_py.training.options import TrainingOptions
from darknet_py.training.run import Batch, Run
from darknet_py.training.settings import Settings

# Whose losses jump where a value lies within rounding of an activation's kink.
LOOSE = {"tiny_like": 5e-3, "linear_smooth": 1e-4}
# What the C program draws, of a generator of its own, or does otherwise than here: frozen layers decay, their
# statistics move; Adam is the GPU's alone; [cost] doubles the gradient of [softmax]; 
OTHER = (*OTHERWISE, "crop_random", "dropout_half", "dropout_logistic", "frozen", "adam", "softmax_cost")


@pytest.fixture(scope="module")
def recorded():
    return load_cases(), load_expected()


def start(cases, case, folder, **changes):
    """A run at the start of a recorded one, and what gives its batches."""
    cfg, weights = folder / f"{case}.cfg", folder / f"{case}.weights"
    cfg.write_text(cases.cfg_text(case))
    weights.write_bytes(cases.weights(case))
    network = load_network(cfg)
    images, truths = cases.images(case)
    options = TrainingOptions.of(network, **changes)
    run = Run(network, options, Settings(engine="reference", weights=weights))
    places = itertools.count(0, options.pass_size)

    def next_batch():
        chosen = (next(places) + np.arange(options.pass_size)) % len(images)
        return Batch(images[chosen], truths[chosen])

    return run, next_batch


@needs_reference
@pytest.mark.slow
def test_losses_and_weights_are_those_of_the_c_program(recorded, tmp_path):
    cases, expected = recorded
    wrong = []
    for case in cases.CASES:
        if case in OTHER:
            continue
        run, next_batch = start(cases, case, tmp_path)
        losses = []
        for _ in range(ITERATIONS):
            run.iterate(next_batch)
            losses.append(run.state.loss)
        values = run.parameters.values
        print(case, np.abs(losses - expected[f"{case}/losses"]).max(), len(values), len(expected[f"{case}/weights"]))
