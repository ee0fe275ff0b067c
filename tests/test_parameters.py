"""A network's parameters in one array."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network, random_parameters

from darknet_py.errors import UsageError
from darknet_py.parameters import Parameters

LAYERS = make_network(
    (2, 4, 4),
    ("convolutional", {"filters": 3, "size": 2, "batch_normalize": 1}),
    ("maxpool", {"size": 2, "stride": 2}),
    ("connected", {"output": 4}),
).layers
# Layer, name, role, first value, shape.
ORDER = [
    (0, "biases", "bias", 0, (3,)),
    (0, "scales", "scale", 3, (3,)),
    (0, "means", "statistic", 6, (3,)),
    (0, "variances", "statistic", 9, (3,)),
    (0, "weights", "weight", 12, (3, 2, 2, 2)),
    (2, "biases", "bias", 36, (4,)),
    (2, "weights", "weight", 40, (4, 12)),
]
COUNT = 40 + 4 * 12


def counted():
    return Parameters(LAYERS, np.arange(COUNT, dtype=np.float32))


def test_views_and_entries_lie_in_the_order_of_a_file():
    parameters = counted()
    assert len(parameters.entries) == len(ORDER)
    assert [list(views) for views in parameters] == [[name for i, name, *_ in ORDER if i == at] for at in range(3)]
    for entry, (layer, name, role, first, shape) in zip(parameters.entries, ORDER, strict=True):
        view = parameters.views[layer][name]
        assert (entry.layer, entry.name, entry.parameter.role, entry.part.start) == (LAYERS[layer], name, role, first)
        assert view.shape == shape
        assert (view.ravel() == np.arange(first, first + view.size)).all()
        assert (entry.find(parameters.values) == view).all()
        assert np.shares_memory(view, parameters.values)


def test_what_is_assigned_to_a_name_or_changed_there_is_written_into_the_array():
    parameters = Parameters.zeros(LAYERS)
    parameters.views[0]["scales"] = [1, 2, 3]
    parameters.views[2]["biases"] = 7
    parameters.views[0]["scales"] *= 2
    assert parameters.values[:6].tolist() == [0, 0, 0, 2, 4, 6]
    assert parameters.values[36:40].tolist() == [7] * 4
    assert np.count_nonzero(parameters.values) == 7
    with pytest.raises(KeyError):
        parameters.views[1]["weights"] = 1
    with pytest.raises(ValueError, match="broadcast"):
        parameters.views[2]["weights"] = np.zeros((12, 4), np.float32)


def test_a_copy_can_be_written_to_and_changes_nothing_else():
    parameters = counted()
    parameters.values.flags.writeable = False
    copied = parameters.copy()
    copied.views[0]["biases"] = -1
    assert (parameters.values == np.arange(COUNT)).all()
    assert (copied.values[3:] == parameters.values[3:]).all()


def test_first_layers_share_the_memory():
    parameters = counted()
    first = parameters.first(2)
    assert (first.layers, first.values.size) == (LAYERS[:2], 36)
    first.views[0]["biases"] = 5
    assert parameters.values[:4].tolist() == [5, 5, 5, 3]
    assert parameters.first(0).values.size == 0


def test_gathered_arrays_of_any_layout_are_copied():
    parameters = random_parameters(LAYERS)
    arrays = [{name: np.asfortranarray(array) for name, array in views.items()} for views in parameters]
    gathered = Parameters.gather(LAYERS, iter(arrays))
    assert (gathered.values == parameters.values).all()
    assert not np.shares_memory(gathered.values, arrays[0]["biases"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda arrays: arrays[2].update(weights=arrays[2]["weights"].T), r"shape \(12, 4\); \(4, 12\) is expected"),
        (lambda arrays: arrays[2].update(weights=arrays[2]["weights"] * 1j), "an array of complex64; real numbers are"),
        (lambda arrays: arrays[2].pop("weights"), r"missing; \(4, 12\) is expected"),
    ],
)
def test_arrays_that_are_not_the_layers_are_refused(change, reason):
    arrays = [dict(views) for views in counted()]
    change(arrays)
    with pytest.raises(UsageError, match=rf"^layer 2 \[connected\] weights: {reason}"):
        Parameters.gather(LAYERS, arrays)


def test_too_few_or_too_many_are_refused():
    arrays = [dict(views) for views in counted()]
    with pytest.raises(UsageError, match=r"^layer 2 \[connected\] biases: missing"):
        Parameters.gather(LAYERS, arrays[:2])
    with pytest.raises(UsageError, match="of more layers than 3"):
        Parameters.gather(LAYERS, [*arrays, {}])
    with pytest.raises(UsageError, match=r"parameters of shape \(87,\); \(88,\) is expected"):
        Parameters(LAYERS, np.zeros(COUNT - 1, np.float32))


@pytest.mark.parametrize(
    "values", [np.zeros(COUNT, int), np.zeros(COUNT, complex), np.zeros(2 * COUNT, np.float32)[::2]]
)
def test_values_whose_views_could_not_hold_what_is_assigned_are_refused(values):
    with pytest.raises(UsageError, match="; float32, beside one another, is expected"):
        Parameters(LAYERS, values)
