"""The layer whose output is the network's."""

from __future__ import annotations

import pytest
from support import make_network

from darknet_py.layers.output import find_output

COST = ("cost", {})
SOFTMAX = ("softmax", {})


@pytest.mark.parametrize(
    ("sections", "index"),
    [([SOFTMAX], 0), ([SOFTMAX, COST], 0), ([COST, SOFTMAX], 1), ([SOFTMAX, SOFTMAX, COST, COST], 1), ([COST], 0)],
)
def test_it_is_the_last_that_answers(sections, index):
    network = make_network((2, 2, 2), *sections)
    assert find_output(network.layers).index == network.output_layer.index == index
