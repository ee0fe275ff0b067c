"""How much memory definitions take: what is counted against what NumPy allocates."""

from __future__ import annotations

import tracemalloc

import pytest
from support import make_network, random_array, random_parameters

from darknet_py.engines.reference import ReferenceEngine
from darknet_py.heatmap import weigh_cells
from darknet_py.layers.counts import count_backward, count_forward

CONVOLUTION = "convolutional"
NETWORKS = {
    "windows": [
        (CONVOLUTION, {"filters": 16, "size": 3, "pad": 1, "activation": "leaky"}),
        (CONVOLUTION, {"filters": 32, "size": 3, "stride": 2, "pad": 1}),
        ("maxpool", {"size": 2, "stride": 2}),
        ("avgpool", {}),
        ("softmax", {}),
    ],
    "outputs": [
        (CONVOLUTION, {"filters": 64, "size": 1, "batch_normalize": 1, "activation": "leaky"}),
        (CONVOLUTION, {"filters": 64, "size": 1, "batch_normalize": 1}),
        ("shortcut", {"from": -2}),
        ("avgpool", {}),
    ],
    "a way round": [
        (CONVOLUTION, {"filters": 16, "size": 1}),
        (CONVOLUTION, {"filters": 16, "size": 5, "pad": 1}),
        ("shortcut", {"from": -2}),
        (CONVOLUTION, {"filters": 16, "size": 5, "pad": 1}),
        ("shortcut", {"from": -2}),
        ("avgpool", {}),
    ],
}


@pytest.fixture(params=NETWORKS)
def layers(request):
    return make_network((3, 64, 64), *NETWORKS[request.param]).layers


def count_taken(work):
    """The most memory that is allocated while `work` runs, in float32 numbers."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 4
    finally:
        tracemalloc.stop()


def test_forward(layers):
    parameters, batch = random_parameters(layers), random_array((1, *layers[0].input_shapes[0]))

    def work():
        for _ in ReferenceEngine(layers, parameters).plan(layers).outputs(batch):
            pass

    count_taken(work)  # so that what the first call imports is not counted
    assert count_forward(layers) == pytest.approx(count_taken(work), rel=0.2)


def test_forward_and_back(layers):
    """At most twice what is taken: temporary arrays are counted as if all were there at once."""
    parameters, image = random_parameters(layers), random_array(layers[0].input_shapes[0])
    looked = layers[0]

    def work():
        weigh_cells(layers, parameters, image, looked.index, 0)

    count_taken(work)
    counted = max(count_forward(layers[:1]), looked.shape.size + count_backward(layers[1:]))
    assert 0.9 < counted / count_taken(work) < 2
