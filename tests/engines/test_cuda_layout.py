"""Where values are on a GPU: within their buffers, in whole packs or quads."""

from __future__ import annotations

import pytest
from support import FIFTEEN, make_network

from darknet_py.engines.cuda.layout import describe
from darknet_py.engines.cuda.lowering import lay_out
from darknet_py.engines.cuda.packing import PACK, QUAD, Groups
from darknet_py.engines.passes import INPUT, compile_steps
from darknet_py.network import load_structure


@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", FIFTEEN)
def test_values_lie_within_their_buffers_and_apart_from_what_is_alive(name, precision, pictures):
    """That buffers hold what is read from them is test_passes.py's; here, that strides keep to them."""
    layers = load_structure(f"cfg/{name}.cfg").layers
    program = compile_steps(layers, PACK)
    layout = lay_out(program, layers, precision, pictures)
    ends = sorted([*layout.offsets.values(), layout.size])[1:]
    starts = sorted(layout.offsets.values())
    for value in (INPUT, *program.places):
        where = layout.value(value, 0)
        slot = INPUT if value == INPUT else program.places[value].slot
        start = layout.offsets[slot]
        end = ends[starts.index(start)]
        pixels = pictures * where.shape.height * where.shape.width
        last = where.address + ((pixels - 1) * where.stride + where.channels) * layout.item
        assert start <= where.address
        assert last <= end
        assert where.shape.channels <= where.channels <= where.stride
        assert where.address % (4 * layout.item) == 0, "packs of four"


CONVOLUTION = "convolutional", {"filters": 24, "size": 3, "stride": 2, "pad": 1, "activation": "leaky"}


def laid_out(*sections):
    network = make_network((3, 8, 6), *sections)
    program = compile_steps(network.layers, PACK)
    return program, lay_out(program, network.layers, "float16", 2)


# What comes before them is added by the convolution, in whole packs.
ADDED = ("convolutional", {"filters": 3, "size": 1, "activation": "leaky"}), ("shortcut", {"from": 0})


@pytest.mark.parametrize(
    ("sections", "stride"),
    [
        ([CONVOLUTION], QUAD),
        ([("maxpool", {"size": 2, "stride": 2}), CONVOLUTION], QUAD),
        ([("dropout", {}), *ADDED], PACK),
        ([("maxpool", {"size": 1, "stride": 1}), *ADDED], PACK),
        ([("softmax", {}), *ADDED], QUAD),
    ],
    ids=["convolved", "pooled", "added", "pooled and added", "by channel and added"],
)
def test_few_channels_lie_a_quad_apart_where_nobody_takes_whole_packs(sections, stride):
    _, layout = laid_out(*sections)
    assert layout.stride(INPUT) == stride


@pytest.mark.parametrize(
    ("channels", "sections", "rest"),
    [
        (3, [CONVOLUTION], True),
        (4, [("connected", {"output": 5})], True),
        (1, [CONVOLUTION], True),
        (1, [("convolutional", {"filters": 1})], False),
        (5, [CONVOLUTION], False),
        (3, [("convolutional", {"filters": 3, "groups": 3})], False),
        (3, [("maxpool", {"size": 2, "stride": 2}), CONVOLUTION], False),
        (3, [("maxpool", {"size": 1}), ("route", {"layers": "0"}), ADDED[0], ADDED[1]], False),
    ],
    ids=["convolution", "connected", "grey", "depthwise", "five channels", "groups", "pooled", "copied"],
)
def test_what_rounding_to_bfloat16_leaves_of_a_picture_lies_behind_it_where_weights_meet_it(channels, sections, rest):
    network = make_network((channels, 8, 6), *sections)
    program = compile_steps(network.layers, PACK)
    for precision in ("float16", "bfloat16"):
        layout = lay_out(program, network.layers, precision, 2)
        assert layout.rest == (rest and precision == "bfloat16")
        assert not layout.rest or layout.stride(INPUT) == (PACK if 2 * channels > QUAD else QUAD)


def test_a_problem_holds_what_decides_the_launch():
    program, layout = laid_out(CONVOLUTION, ("connected", {"output": 5, "activation": "linear"}))
    convolution, connected = (describe(step, layout) for step in program.steps)
    assert (convolution.pictures, convolution.height, convolution.width) == (2, 8, 6)
    assert (convolution.out_height, convolution.out_width) == (4, 3)
    assert (convolution.size_y, convolution.size_x, convolution.stride, convolution.padding) == (3, 3, 2, 1)
    assert (convolution.groups, convolution.source_stride, convolution.target_stride) == (Groups(1, QUAD, 24), QUAD, 24)
    assert (convolution.activation, convolution.residual_stride) == ("leaky", 0)
    assert (connected.size_y, connected.size_x, connected.stride, connected.padding) == (4, 3, 1, 0)
    assert connected.groups == Groups(1, 24, PACK)
    assert not convolution.depthwise
    assert not connected.depthwise


@pytest.mark.parametrize(("filters", "groups", "depthwise"), [(3, 3, True), (6, 3, False), (3, 1, False)])
def test_a_problem_tells_whether_each_filter_has_a_channel_of_its_own(filters, groups, depthwise):
    program, layout = laid_out(("convolutional", {"filters": filters, "groups": groups, "size": 3, "pad": 1}))
    (step,) = program.steps
    assert describe(step, layout).depthwise == depthwise
