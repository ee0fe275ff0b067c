"""Iterations with their updates: those of darknet's C program, from its options to its weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support_training import cases, recorded, thin

from darknet_py.classifier import load_network
from darknet_py.errors import DarknetWarning, TrainingError, UsageError
from darknet_py.training.loader import Batch
from darknet_py.training.options import TrainingOptions
from darknet_py.training.run import TrainingRun
from darknet_py.training.settings import TrainingSettings

ITERATIONS = 20
# All that options, rates and updates do; the layers are compared with the other runs elsewhere.
CASES = [
    "leaky", "subdivisions", "momentum_zero", "policy_steps", "policy_step", "policy_exp", "policy_poly",
    "policy_poly4", "policy_sigmoid",
]  # fmt: skip


def start(case, folder, **settings):
    """A run at the start of a recorded one, and the function that gives its batches."""
    cfg, weights = folder / f"{case}.cfg", folder / f"{case}.weights"
    cfg.write_text(cases.cfg_text(case))
    weights.write_bytes(cases.weights(case))
    network = load_network(cfg)
    images, truths = cases.images(case)
    options = TrainingOptions.of(network)
    run = TrainingRun(network, options, TrainingSettings(engine="reference", **{"weights": weights, **settings}))
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


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_that_of_the_c_program(case, tmp_path):
    run, next_batch = start(case, tmp_path)
    losses = iterate(run, next_batch)
    np.testing.assert_allclose(losses, recorded(case)["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(thin(run.parameters.values), recorded(case)["weights"], rtol=0, atol=1e-5)
    seen = cases.seen(case) + ITERATIONS * run.options.batch
    assert (run.state.seen, run.state.iteration, run.state.updates) == (seen, seen // run.options.batch, ITERATIONS)


def test_layers_before_the_end_of_training_stay_bit_for_bit_and_others_learn(tmp_path):
    run, next_batch = start("frozen", tmp_path)
    before = run.parameters.copy()
    iterate(run, next_batch)
    for entry in before.entries:
        same = np.array_equal(run.parameters.values[entry.part], before.values[entry.part])
        assert same == (entry.layer.index < 2), entry.label
    behind = before.first(2).values.size
    weights = run.parameters.values[behind:]
    np.testing.assert_allclose(weights, recorded("frozen")["weights"][behind:], rtol=0, atol=1e-5)


def test_as_many_layers_are_frozen_as_asked_and_the_network_itself_stays(tmp_path):
    run, next_batch = start("leaky", tmp_path, freeze=3)
    before = run.parameters.copy()
    iterate(run, next_batch, 3)
    for entry in before.entries:
        same = np.array_equal(run.parameters.values[entry.part], before.values[entry.part])
        assert same == (entry.layer.index < 3), entry.label
    network = load_network(tmp_path / "leaky.cfg")
    with pytest.warns(DarknetWarning, match=r"leaky\.cfg: layers 0 to 2 are frozen at random first weights; "):
        TrainingRun(network, run.options, TrainingSettings(engine="reference", freeze=3))
    assert not any(layer.stops for layer in network.layers)
    with pytest.raises(UsageError, match=r"leaky\.cfg: 7 layers are to be frozen, and there are only 7$"):
        start("leaky", tmp_path, freeze=7)


def test_the_average_begins_as_the_first_loss(tmp_path):
    run, next_batch = start("leaky", tmp_path)
    first, second, _ = iterate(run, next_batch, 3)[:3]
    run, next_batch = start("leaky", tmp_path)
    iterate(run, next_batch, 1)
    assert run.state.average == first
    iterate(run, next_batch, 1)
    assert run.state.average == pytest.approx(0.9 * first + 0.1 * second, rel=1e-12)


def test_each_pass_draws_numbers_of_its_own_and_the_same_in_every_run(tmp_path, monkeypatch):
    runs = []
    for _ in range(2):
        drawn = []
        run, next_batch = start("subdivisions", tmp_path)
        monkeypatch.setattr(run._plan, "step", lambda *given, drawn=drawn: drawn.append(given[2].random()) or 1.0)
        iterate(run, next_batch, 3)
        runs.append(drawn)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 3 * run.options.subdivisions > 3


def test_a_run_that_is_saved_and_loaded_goes_on_bit_for_bit(tmp_path):
    run, next_batch = start("policy_poly", tmp_path)
    iterate(run, next_batch, 5)
    run.save(tmp_path / "x", {"run": "1"})
    losses = iterate(run, next_batch, 5)
    other, next_other = start("policy_poly", tmp_path, seed=9)
    for _ in range(5):
        next_other()
    other.load(tmp_path / "x", {"run": "1"})
    np.testing.assert_array_equal(iterate(other, next_other, 5), losses)
    np.testing.assert_array_equal(other.parameters.values, run.parameters.values)
    assert other.state == run.state


def test_a_loss_that_is_not_finite_is_told_with_iteration_rate_and_layer(tmp_path):
    run, next_batch = start("plain", tmp_path)
    iterate(run, next_batch, 2)
    run.parameters.views[3]["weights"][0] = 3e38
    before = run.parameters.copy()
    with pytest.raises(TrainingError) as error:
        run.iterate(next_batch)
    assert str(error.value).startswith("iteration 3, rate 0.02: the loss is ")
    assert "layer 3 [connected] gives NaN or infinity; a lower learning_rate" in str(error.value)
    np.testing.assert_array_equal(run.parameters.values, before.values)
    assert run.state.iteration == 2


def test_a_parameter_that_is_not_finite_is_told_before_it_is_saved(tmp_path):
    run, next_batch = start("leaky", tmp_path)
    iterate(run, next_batch, 1)
    run.check()
    run.parameters.views[2]["biases"][1] = np.inf
    with pytest.raises(
        TrainingError, match=r"^iteration 1, rate 0\.01: layer 2 \[convolutional\] biases are NaN or inf"
    ):
        run.check()


def test_a_cost_behind_a_softmax_is_told_not_to_count(tmp_path):
    with pytest.warns(DarknetWarning, match=r"\[cost\]: does not count: \[softmax\] before it has the loss"):
        start("softmax_cost", tmp_path)
