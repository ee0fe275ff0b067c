"""Updates: Adam, clipping, and what neither changes; darknet's SGD is compared with its recorded runs elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network, random_array, random_parameters

from darknet_py.engines import compile_training
from darknet_py.training import optimizer as module
from darknet_py.training.optimizer import make_optimizer
from darknet_py.training.options import TrainingOptions

NETWORK = make_network(
    (2, 4, 4),
    ("convolutional", {"filters": 3, "size": 3, "batch_normalize": 1, "learning_rate": 2}),
    ("convolutional", {"filters": 3, "learning_rate": 0}),
    ("batchnorm", {}),  # whose statistics are between parameters that are learned alike
    ("connected", {"output": 5}),
    ("softmax", {}),
)


def updated(rates, engine="reference", network=NETWORK, **changes):
    """The parameters after one update for each rate, with the same gradients each time, and those before."""
    options = TrainingOptions.of(network, batch=4, **changes)
    plan = compile_training(engine, network.layers, random_parameters(network.layers), 4, 2)
    before = plan.parameters.copy()
    optimizer = make_optimizer(plan, options)
    for rate in rates:
        plan.gradients.values += random_array(before.values.shape, 3)
        optimizer.update(rate)
    assert optimizer.count == len(rates)
    return plan.parameters, before, optimizer


def plain(entry, values, rates, step):
    """A parameter after the updates of `step`, for which u is the gradient of each."""
    found, u = entry.find(values).astype(np.float64), entry.find(random_array(values.shape, 3)).astype(np.float64)
    for number, rate in enumerate(rates, 1):
        found = step(found, u, rate * entry.layer.rate, number)
    return found


@pytest.mark.parametrize("chunk", [module.CHUNK, 7])
def test_adam_is_as_in_its_formula_and_all_parameters_decay(chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    rates, decay, b1, b2, eps = (0.1, 0.1, 0.05), 0.01, 0.8, 0.9, 1e-3
    parameters, before, optimizer = updated(rates, adam=True, decay=decay, B1=b1, B2=b2, eps=eps)
    for entry in parameters.entries:
        if entry.layer.index == 1 or entry.parameter.role == "statistic":
            continue
        first = second = 0.0

        def step(p, u, rate, t):
            nonlocal first, second
            u = u - decay * 4 * p
            first, second = b1 * first + (1 - b1) * u, b2 * second + (1 - b2) * u**2
            return p + rate * first / (1 - b1**t) / (np.sqrt(second / (1 - b2**t)) + eps)

        expected = plain(entry, before.values, rates, step)
        np.testing.assert_allclose(entry.find(parameters.values), expected, rtol=1e-5, atol=1e-6, err_msg=entry.label)
    assert optimizer.state.keys() == {"first moments", "second moments"}


@pytest.mark.parametrize("chunk", [module.CHUNK, 7])
def test_weights_alone_decay_by_sgd_and_momentum_carries_it(chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    rates, decay, momentum = (0.1, 0.1, 0.05), 0.01, 0.75
    parameters, before, _ = updated(rates, decay=decay, momentum=momentum)
    for entry in parameters.entries:
        if entry.layer.index == 1 or entry.parameter.role == "statistic":
            continue
        u_sum, is_weight = 0.0, entry.parameter.role == "weight"

        def step(p, u, rate, t):
            nonlocal u_sum
            u_sum = u_sum + u - is_weight * decay * 4 * p  # noqa: B023
            moved = p + rate / 4 * u_sum
            u_sum = momentum * u_sum
            return moved

        expected = plain(entry, before.values, rates, step)
        np.testing.assert_allclose(entry.find(parameters.values), expected, rtol=1e-5, atol=1e-6, err_msg=entry.label)


@pytest.mark.parametrize("adam", [False, True])
def test_frozen_layers_and_statistics_are_not_touched(adam):
    parameters, before, _ = updated((0.1,) * 3, adam=adam, decay=0.1)
    touched = {
        entry.label
        for entry in before.entries
        if not np.array_equal(entry.find(parameters.values), entry.find(before.values))
    }
    expected = {
        entry.label for entry in before.entries if entry.layer.index != 1 and entry.parameter.role != "statistic"
    }
    assert touched == expected


def test_weights_alone_are_clipped():
    parameters, _, _ = updated((0.1,) * 3, clip=0.125)
    for entry in parameters.entries:
        largest = np.abs(entry.find(parameters.values)).max()
        if entry.parameter.role == "weight" and entry.layer.rate:
            assert largest == 0.125
        elif entry.parameter.role == "scale":
            assert largest > 0.125


CHANGES = {
    "sgd": {"momentum": 0.9, "decay": 0.01},
    "sgd without decay": {"momentum": 0, "decay": 0},
    "clipped": {"clip": 0.125, "decay": 0.01},
    "adam": {"adam": True, "decay": 0.01, "eps": 1e-6},
    "adam, clipped": {"adam": True, "clip": 0.125},
}
# Values that fill no registers, and more of them than a thread takes at a time.
LARGER = make_network((3, 8, 8), ("connected", {"output": 101}), ("connected", {"output": 7}), ("softmax", {}))


@pytest.mark.parametrize("network", [NETWORK, LARGER], ids=["small", "larger"])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_cpus_updates_have_the_bits_of_their_definition(changes, network):
    (one, _, by_one), (other, _, by_other) = (
        updated((0.1, 0.1, 0.05), engine, network, **changes) for engine in ("reference", "cpu")
    )
    assert one.values.tobytes() == other.values.tobytes()
    assert by_one.plan.gradients.values.tobytes() == by_other.plan.gradients.values.tobytes()
    for name, array in by_one.state.items():
        assert array.tobytes() == by_other.state[name].tobytes()


ODD = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-42, -1e-42, 3e38, -3e38, 1, 0.125, -0.125, 1e-20], np.float32)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_odd_numbers_are_updated_alike(changes):
    found = []
    for engine in ("reference", "cpu"):
        plan = compile_training(engine, LARGER.layers, random_parameters(LARGER.layers), 4)
        optimizer = make_optimizer(plan, TrainingOptions.of(LARGER, batch=4, **changes))
        size = len(plan.parameters.values)
        plan.parameters.values[:] = np.resize(ODD, size)
        plan.gradients.values[:] = np.resize(ODD.repeat(len(ODD)), size)
        with np.errstate(all="ignore"):
            optimizer.update(0.1)
        found.append((plan.parameters.values, plan.gradients.values, *optimizer.state.values()))
    for one, other in zip(*found, strict=True):
        numbers = ~np.isnan(one)
        assert np.array_equal(numbers, ~np.isnan(other))
        assert one[numbers].tobytes() == other[numbers].tobytes()
