"""How the CPU engine's plans divide a batch."""

from __future__ import annotations

import pytest
from support import make_network, random_array, random_parameters

from darknet_py.engines import open_engine
from darknet_py.engines.cpu import plan as module

CONVOLUTION = ("convolutional", {"filters": 16, "size": 3, "pad": 1})


def make_plan(*sections):
    network = make_network((3, 12, 12), *sections)
    return open_engine("cpu", network.layers, random_parameters(network.layers), 1).plan(network.layers)


def test_images_share_the_kernels_of_connected_layers():
    assert make_plan(CONVOLUTION, ("connected", {"output": 50})).together == max(module.TOGETHER)


def test_images_run_alone_where_nothing_is_shared():
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
