"""Every step of a network becomes launches."""

from __future__ import annotations

import pytest
from host_gpu import HostGpu
from support import FIFTEEN, make_network, random_parameters

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.lowering import KERNELS, no_kernel
from darknet_py.engines.cuda.packing import PACK
from darknet_py.engines.passes import compile_steps
from darknet_py.layers.maxpool import MaxPool
from darknet_py.network import load_structure


@pytest.mark.parametrize("name", [*FIFTEEN, "efficientnet_b0"])
def test_every_step_of_the_networks_has_a_kernel(name):
    layers = load_structure(f"cfg/{name}.cfg").layers
    assert not any(no_kernel(layers[index]) for index in compile_steps(layers, PACK).running)


def test_what_has_no_kernel_says_why(monkeypatch):
    (pool,) = make_network((3, 8, 8), ("maxpool", {"size": 2})).layers
    assert not no_kernel(pool)
    monkeypatch.delitem(KERNELS, MaxPool)
    assert no_kernel(pool) == "[maxpool] has no kernel"
    (activation,) = make_network((3, 8, 8), ("activation", {"activation": "leaky"})).layers
    activation.activation = "wave"
    assert no_kernel(activation) == "the activation wave has no kernel"


@pytest.mark.parametrize(
    ("precision", "channels", "vector"),
    [("float16", 16, 8), ("float16", 5, 8), ("float16", 3, 4), ("bfloat16", 9, 8), ("float32", 16, 4), ("tf32", 3, 4)],
)
def test_threads_take_16_bytes_where_values_lie_so(precision, channels, vector):
    crop = {"crop_height": 3, "crop_width": 3}
    sections = [("maxpool", {"size": 2}), ("crop", crop), ("activation", {"activation": "mish"}), ("avgpool", {})]
    network = make_network((channels, 4, 4), *sections)
    execution = CudaEngine(network.layers, random_parameters(network.layers), HostGpu(), precision).plan(network.layers)
    _, *launches, _ = execution.execution(1).launches
    assert [launch.kernel.call.split("<")[0] for launch in launches] == ["max_pool", "crop", "scale", "average_pool"]
    assert {launch.kernel.call.strip(">").split(", ")[1] for launch in launches} == {str(vector)}
