"""Every step of a network comes to launches."""

from __future__ import annotations

import pytest
from support import FIFTEEN, make_network

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
