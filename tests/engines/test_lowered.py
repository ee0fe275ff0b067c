"""Which operations the CPU engine makes of layers."""

from __future__ import annotations

import pytest
from support import make_network, random_parameters

from darknet_py.engines import open_engine
from darknet_py.engines.cpu import operations as o
from darknet_py.engines.cpu.builder import Table
from darknet_py.engines.cpu.isa import LANES, UNROLL


def lower(shape, options, kind, images=1, threads=1):
    """The one operation of a `kind` that a convolution comes to."""
    network = make_network(shape, ("convolutional", options))
    run = (
        open_engine("cpu", network.layers, random_parameters(network.layers), threads).plan(network.layers)._run(images)
    )
    tables = [call for call in run.calls if isinstance(call, Table)]
    (found,) = (operation for table in tables for operation in table.operations if isinstance(operation, kind))
    return found


@pytest.mark.parametrize("channels", [16, 20, 24, 30, 32, 40, 64])
def test_products_of_1x1_windows_sum_up_few_channels_that_are_not_there(channels):
    product = lower((channels, 5, 5), {"filters": 70, "size": 1}, o.Gemm)
    assert channels <= product.tap_count * product.depth < channels + UNROLL
    assert LANES % product.depth == product.depth % UNROLL == 0


@pytest.mark.parametrize(
    ("side", "size", "stride", "copied"),
    [
        (7, 3, 1, True), (14, 3, 1, True), (14, 5, 2, True), (28, 3, 1, False), (14, 3, 2, False), (100, 99, 1, False),
        (14, 1, 1, False),
    ],
)  # fmt: skip
def test_small_pictures_are_copied_with_their_edges(side, size, stride, copied):
    """For any number of images and threads, whose answers are the same bits."""
    options = {"filters": 48, "groups": 48, "size": size, "stride": stride, "pad": 1}
    for images, threads in ((1, 1), (3, 1), (1, 2)):
        operation = lower((48, side, side), options, o.Grouped, images, threads)
        assert (operation.bordered != 0) == (operation.thread_bytes != 0) == copied
