"""How the CPU engine's plans divide a batch, and measure their layers."""

from __future__ import annotations

import warnings
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from support import make_network, random_array, random_parameters
from support_networks import networks

from darknet_py.engines import open_engine
from darknet_py.engines.cpu import plan as module
from darknet_py.engines.cpu import values
from darknet_py.engines.cpu.distance import Distance
from darknet_py.engines.cpu.inspect import plan_layers

CONVOLUTION = ("convolutional", {"filters": 16, "size": 3, "pad": 1})


def make_plan(*sections):
    network = make_network((3, 12, 12), *sections)
    return open_engine("cpu", network.layers, random_parameters(network.layers), 1).plan(network.layers)


def test_images_share_the_kernels_of_connected_layers():
    assert make_plan(CONVOLUTION, ("connected", {"output": 50})).together == max(module.TOGETHER)


def test_two_images_run_together_where_nothing_is_shared_but_barriers(monkeypatch):
    assert make_plan(CONVOLUTION).together == 2
    for cached_bytes in (4 * 2 * (3 + 16) * 12 * 12 - 1, 0):
        monkeypatch.setattr(module, "MACHINE", module.MACHINE._replace(cached_bytes=cached_bytes))
        assert make_plan(CONVOLUTION).together == 1


def test_images_run_alone_where_their_layers_would_not_stay_in_the_cache(monkeypatch):
    sections = CONVOLUTION, CONVOLUTION, ("maxpool", {"size": 12, "stride": 12}), ("connected", {"output": 2})
    assert make_plan(*sections).together == max(module.TOGETHER)
    machine = module.MACHINE._replace(cached_bytes=4 * (3 + 16) * 12 * 12)
    monkeypatch.setattr(module, "MACHINE", machine)
    assert make_plan(*sections).together == 1


@pytest.mark.parametrize("pictures", [1, 7, 8, 9, 20])
def test_parts_of_a_batch_are_whole(pictures):
    plan = make_plan(CONVOLUTION, ("connected", {"output": 5}))
    parts = plan._parts(random_array((pictures, 3, 12, 12)))
    assert sum(map(len, parts)) == pictures
    assert max(map(len, parts)) <= plan.together


@pytest.mark.parametrize("section", [CONVOLUTION, ("upsample", {"stride": 2})])  # compiled, and by its definition
def test_a_batch_is_free_when_its_answers_are_there(section):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = make_plan(section)
    batch = random_array((3, 3, 12, 12))
    held = weakref.ref(batch)
    plan.run(batch)
    plan.measure(batch)
    del batch
    assert held() is None


@settings(max_examples=30, deadline=None)
@given(networks())
def test_each_layer_that_runs_is_measured(network):
    plan = open_engine("cpu", network.layers, random_parameters(network.layers), 1).plan(network.layers)
    with np.errstate(all="ignore"):
        measured = plan.measure(random_array((2, *network.input_shape)))
    forecasts = plan_layers(network.layers)
    assert measured.keys() >= {forecast.layer.index for forecast in forecasts if forecast.implementation}


HALVED = (
    CONVOLUTION, ("maxpool", {"size": 2, "stride": 2}), CONVOLUTION, ("maxpool", {"size": 2, "stride": 2}), CONVOLUTION,
)  # fmt: skip


def test_cores_may_come_to_be_far_and_near_again(monkeypatch):
    """Answers are the same, and no runs are kept for the other distance."""
    plan, batch = make_plan(*HALVED), random_array((2, 3, 12, 12))
    sizes, answers = [], []
    for far in (False, True, False):
        monkeypatch.setattr(Distance, "is_far", lambda distance, far=far: far)
        answers.append(plan.run(batch).tobytes())
        assert len(plan.runs) == 1
        (run,) = plan.runs.values()
        sizes.append(len(run.values.gaps))
    assert len(set(answers)) == 1
    assert sizes[0] == sizes[2] < sizes[1]


def test_values_share_all_slots_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(Distance, "is_far", lambda distance: True)
    monkeypatch.setattr(values, "has_memory", lambda size: False)
    plan, near = make_plan(*HALVED), make_plan(*HALVED)
    plan.run(random_array((1, 3, 12, 12)))
    monkeypatch.setattr(Distance, "is_far", lambda distance: False)
    near.run(random_array((1, 3, 12, 12)))
    assert len(plan.runs[1].values.gaps) == len(near.runs[1].values.gaps)
