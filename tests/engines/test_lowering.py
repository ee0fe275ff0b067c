"""Which operations the CPU engine makes from layers."""

from __future__ import annotations

import pytest
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines import open_engine
from darknet_py.engines.cpu import operations as o
from darknet_py.engines.cpu.arena import LINE
from darknet_py.engines.cpu.builder import Table
from darknet_py.engines.cpu.isa import BLOCK, LANES, MACHINE, ROWS, UNROLL


def lower(shape, sections, kind, images=1, threads=1):
    """The operations of a `kind`, or of one of several, that layers become."""
    network = make_network(shape, *sections)
    engine = open_engine("cpu", network.layers, random_parameters(network.layers), threads)
    tables = [call for call in engine.plan(network.layers)._run(images).calls if isinstance(call, Table)]
    return [operation for table in tables for operation in table.operations if isinstance(operation, kind)]


@pytest.mark.parametrize("channels", [16, 20, 24, 30, 32, 40, 64])
def test_products_of_1x1_windows_sum_up_few_channels_that_are_not_there(channels):
    (product,) = lower((channels, 5, 5), [("convolutional", {"filters": 70, "size": 1})], o.Gemm)
    assert channels <= product.tap_count * product.depth < channels + UNROLL
    assert LANES % product.depth == product.depth % UNROLL == 0


def test_products_of_many_channels_have_few_taps():
    (product,) = lower((1001, 5, 5), [("convolutional", {"filters": 70, "size": 1})], o.Gemm)
    assert product.depth == LANES


@pytest.mark.parametrize(
    ("side", "size", "stride", "copied"),
    [
        (7, 3, 1, True), (14, 3, 1, True), (14, 5, 2, True), (28, 3, 1, False), (14, 3, 2, False), (100, 99, 1, False),
        (14, 1, 1, False),
    ],
)  # fmt: skip
def test_small_pictures_are_copied_with_their_edges(side, size, stride, copied):
    """For any number of images and threads, whose answers are the same bits."""
    sections = [("convolutional", {"filters": 48, "groups": 48, "size": size, "stride": stride, "pad": 1})]
    for images, threads in ((1, 1), (3, 1), (1, 2)):
        (operation,) = lower((48, side, side), sections, o.Grouped, images, threads)
        assert (operation.padded != 0) == (operation.thread_bytes != 0) == copied


@pytest.mark.parametrize(("filters", "fetched"), [(10, False), (1000, True)])
def test_many_weights_for_few_pixels_are_fetched_by_the_product_before(filters, fetched):
    pointwise = {"size": 1, "activation": "leaky"}
    sections = [
        ("convolutional", {"filters": 640, **pointwise}),
        ("avgpool", {}),
        ("convolutional", {"filters": filters, **pointwise}),
    ]
    before, last = lower((64, 7, 7), sections, o.Gemm)
    assert (last.b_batch > MACHINE.cached_weights) == fetched
    assert before.early == last.b * fetched
    tiles = -(-49 // ROWS)
    items = before.panels * -(-tiles // before.chunk)
    assert (before.early_bytes * items >= last.b_batch) == fetched
    assert before.early_bytes % LINE == last.early == 0


DEPTHWISE = ("convolutional", {"filters": 40, "groups": 40, "size": 3, "pad": 1, "activation": "swish"})


@pytest.mark.parametrize("behind", [[], [("scale_channels", {"from": -2})]], ids=["alone", "scaled"])
def test_means_of_what_a_depthwise_layer_stores_are_of_its_rows_sums(behind):
    sections = [DEPTHWISE, ("avgpool", {}), *behind]
    for images in (1, 3):
        convolution, mean, *_ = lower((40, 9, 7), sections, (o.Grouped, o.AvgPool), images)
        assert mean.a == convolution.row_sums != 0
        assert (mean.cell, mean.height, mean.width, mean.cells) == (BLOCK, 9, 1, 63)


@pytest.mark.parametrize(
    "between",
    [[("activation", {"activation": "leaky"})], [("batchnorm", {})], [("convolutional", {"filters": 40, "size": 1})]],
    ids=lambda between: between[0][0],
)
def test_means_of_what_is_made_of_it_are_not(between):
    convolution, mean = lower((40, 9, 7), [DEPTHWISE, *between, ("avgpool", {})], (o.Grouped, o.AvgPool))
    assert convolution.row_sums == 0
    assert (mean.height, mean.width, mean.cells) == (9, 7, 63)


def test_another_mean_of_the_same_layer_later_reads_what_it_stores():
    """Its rows' sums lie in the workspace, which layers in between use."""
    between = [("convolutional", {"filters": 40, "groups": 40, "size": 3, "pad": 1}), ("route", {"layers": 0})]
    sections = [DEPTHWISE, ("avgpool", {}), ("route", {"layers": 0}), *between, ("avgpool", {})]
    *_, convolution, first, _, second = lower((40, 7, 7), sections, (o.Grouped, o.AvgPool))
    assert first.a == convolution.row_sums != second.a
    assert (first.width, second.width) == (1, 7)
    network = make_network((40, 7, 7), *sections)
    parameters, batch = random_parameters(network.layers), random_array((2, 40, 7, 7))
    answers = [run_engine(engine, network.layers, parameters, batch) for engine in ("cpu", "reference")]
    assert_close(*answers, 1e-5)


def test_rows_are_not_summed_up_before_an_activation_that_no_kernel_applies(monkeypatch):
    monkeypatch.setattr(o, "CURVES", ())
    convolution, mean = lower((40, 9, 7), [DEPTHWISE, ("avgpool", {})], (o.Grouped, o.AvgPool))
    assert (convolution.row_sums, mean.width) == (0, 7)
