"""Iterations with their updates, held to recorded runs of the C program."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conftest import needs_reference
from support_training import ITERATIONS, UNKNOWN_POLICY, load_cases, load_expected

from darknet_py.classifier import load_network
from darknet_py.training.loader import Batch
from darknet_py.training.options import TrainingOptions
from darknet_py.training.run import Run
from darknet_py.training.settings import TrainingSettings

# Whose losses jump where a value lies within rounding of an activation's kink.
LOOSE = {"tiny_like": 5e-3, "linear_smooth": 1e-4}
# What is otherwise here: [batchnorm] has no bias, random numbers are of another generator, frozen layers are really
# frozen, Adam is not of GPUs alone, and a [cost] does not double the gradient of a [softmax].
OTHER = (
    UNKNOWN_POLICY, "batchnorm", "crop_random", "dropout_half", "dropout_logistic", "frozen", "adam", "softmax_cost",
)  # fmt: skip
# A [softmax] that has no loss counts in the mean of the C program's.
HALVED = "softmax_noloss_cost"


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
    run = Run(network, options, TrainingSettings(engine="reference", weights=weights))
    places = itertools.count(0, options.pass_size)

    def next_batch():
        place = next(places)
        chosen = (place + np.arange(options.pass_size)) % len(images)
        return Batch(place, chosen, images[chosen], truths[chosen])

    return run, next_batch


def iterate(run, next_batch, count=ITERATIONS):
    """The losses of some iterations."""
    losses = []
    for _ in range(count):
        run.iterate(next_batch)
        losses.append(run.state.loss)
    return np.array(losses)


@needs_reference
@pytest.mark.slow
def test_losses_and_weights_are_those_of_the_c_program(recorded, tmp_path):
    cases, expected = recorded
    for case in cases.CASES:
        if case in OTHER:
            continue
        run, next_batch = start(cases, case, tmp_path)
        losses = iterate(run, next_batch) / (1 + (case == HALVED))
        bound = LOOSE.get(case, 1e-5)
        np.testing.assert_allclose(losses, expected[f"{case}/losses"], rtol=bound, atol=bound, err_msg=case)
        values = run.parameters.values
        values = values[::97] if values.size > 8000 else values
        np.testing.assert_allclose(
            values, expected[f"{case}/weights"], rtol=0, atol=LOOSE.get(case, 1e-5), err_msg=case
        )


@needs_reference
def test_frozen_layers_stay_bit_for_bit(recorded, tmp_path):
    run, next_batch = start(recorded[0], "frozen", tmp_path)
    before = run.parameters.copy()
    iterate(run, next_batch)
    changed = [
        not np.array_equal(run.parameters.values[entry.place], before.values[entry.place]) for entry in before.entries
    ]
    assert changed == [entry.layer.index > 1 for entry in before.entries]
