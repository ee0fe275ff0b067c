"""Kernels take addresses: each implementation, at random shapes, reads and writes only where it may.

The memory round every buffer is set to NaN before a run, and so are the buffers themselves: what a kernel reads by
mistake spoils its answer, and what it writes by mistake is found.
"""

from __future__ import annotations

import os
from unittest import mock

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support import assert_close, make_network, random_array, random_parameters, run_engine
from support_guards import NAN, guards

from darknet_py.engines import CPU_PRECISIONS, open_engine
from darknet_py.engines.cpu import plan
from darknet_py.engines.cpu.algorithms import FORWARD, choose, winograd
from darknet_py.engines.cpu.algorithms.grouped import Grouped
from darknet_py.engines.cpu.algorithms.grouped_winograd import GroupedWinograd
from darknet_py.engines.cpu.algorithms.phases import PhasesWinograd, StridedWinograd
from darknet_py.engines.cpu.algorithms.winograd import Winograd
from darknet_py.engines.cpu.distance import Distance
from darknet_py.engines.cpu.isa import COLUMNS, LANES, MACHINE
from darknet_py.layers.convolutional import Convolutional

# In bfloat16 F(2, 5) errs by 0.015 of the outputs' spread, and at times by four times as much.
BOUNDS = {"float32": 5e-5, "bfloat16": 0.06}
EXAMPLES = int(os.environ.get("DARKNET_PY_EXAMPLES", "300"))  # fewer where a slow instruction set is tried


def check(network, batch, name=None, precision="float32", forked=0):
    """Compare the engine's answers, by the implementation `name`, with the definitions; all guards must be intact.

    Where the engine is `forked`, with that many threads, so must those round the threads' own memory.

    All pictures run together, and the last alone, as on far cores: its answers are the same, bit for bit.
    """
    parameters = random_parameters(network.layers)
    expected = run_engine("reference", network.layers, parameters, batch)

    def prefer(layer, precision):
        choices = sorted(choose(layer, precision), key=lambda choice: choice.name != name)
        if choices and choices[0].reason:
            reject()
        return choices

    with guards(), mock.patch.object(plan, "choose", prefer if name else choose):
        engine = open_engine("cpu", network.layers, parameters, 2, None, precision)
        ready = (engine.fork(forked) if forked else engine).plan(network.layers)
        run = ready._run(len(batch))
        run.values.memory[:] = NAN
        answers = run.run(batch).copy()
        assert all((run.values.memory[gap] == NAN).all() for gap in run.values.gaps)
        assert_close(answers, expected.reshape(len(batch), -1), BOUNDS[precision])
        with mock.patch.object(Distance, "is_far", return_value=True):
            alone = ready._run(1).run(batch[-1:])
        assert alone.tobytes() == answers[-1:].tobytes()


ALL = FORWARD["float32"][Convolutional]
SOME = st.integers(1, 40)


@st.composite
def convolutions(draw, sizes, strides, channels, filters=SOME, paddings=(0, 1, 2, 3), groups=(1,), least=1):
    """A convolution, perhaps followed by a pool that halves, or a sum with another one of its kind; and pictures."""
    size, parts = draw(st.sampled_from(sizes)), draw(st.sampled_from(groups))
    padding = draw(st.sampled_from([p for p in paddings if p <= size]))
    least = max(least, size - 2 * padding)
    sides = st.integers(least, least + 19)
    options = {
        "filters": parts * draw(filters),
        "size": size,
        "stride": draw(st.sampled_from(strides)),
        "padding": padding,
        "groups": parts,
        "batch_normalize": draw(st.integers(0, 1)),
        "activation": draw(st.sampled_from(["linear", "leaky", "relu", "swish"])),
    }
    sections = [("convolutional", options)]
    behind = draw(st.sampled_from(["nothing", "halves", "sum"]))
    if behind == "halves":
        sections.append(("maxpool", {"size": 2, "stride": 2}))
    elif behind == "sum":
        sloped = {**options, "activation": draw(st.sampled_from(["linear", "leaky"]))}
        last = {"from": 1, "activation": draw(st.sampled_from(["leaky", "swish"]))}
        again = [("route", {"layers": 0}), ("convolutional", sloped), ("shortcut", last)]
        sections = [("dropout", {}), *sections, *again]
    network = make_network((parts * draw(channels), draw(sides), draw(sides)), *sections)
    return network, random_array((draw(st.integers(1, 3)), *network.input_shape), draw(st.integers(0, 9)))


PAIRS = st.sampled_from([32, 64, 96])  # channels that make up an even number of blocks
PANELS = st.sampled_from([2 * COLUMNS * LANES, 4 * COLUMNS * LANES])  # and of panels
WHOLE = st.sampled_from([LANES // 2, LANES, 2 * LANES])  # of groups of which one or two fill blocks
FEW = st.integers(1, LANES - 1)  # channels that do not fill a block
PHASED = {  # by the side of the phases' kernels
    3: st.one_of(convolutions([5, 6], [2], FEW), convolutions([9, 11, 12], [4], FEW)),
    4: st.one_of(convolutions([7, 8], [2], FEW), convolutions([13, 15], [4], FEW)),
}
GEOMETRIES = {
    "strassen_1x1": convolutions([1], [1], PAIRS, PANELS, [0], least=12),
    "gemm_1x1": convolutions([1], [1], st.integers(1, 70), paddings=[0]),
    "direct": convolutions([1, 2, 3, 4, 5, 7], [1, 2, 3, 4], st.integers(1, 70)),
    **{
        algorithm.name: convolutions(
            [1, 2, 3, 5, 7], [1, 2, 3], st.just(algorithm.group), st.just(algorithm.group), groups=range(2, 20)
        )
        for algorithm in ALL
        if isinstance(algorithm, Grouped)
    },
    "direct_pixels": convolutions([1, 2, 3, 5, 7, 11], [1, 2, 3, 4], FEW),
    # The others' pictures are narrower than the tiles of a group.
    "planar_wino_4x4_3x3": st.one_of(
        convolutions([3], [1], FEW), convolutions([3], [1], st.integers(1, 3), least=4 * LANES - 9)
    ),
    **{algorithm.name: PHASED[algorithm.r] for algorithm in ALL if type(algorithm) is PhasesWinograd},
    **{
        algorithm.name: st.one_of(
            convolutions([3, 4], [2], st.integers(16, 70)), convolutions([4, 5, 6], [3], st.integers(16, 70))
        )
        for algorithm in ALL
        if type(algorithm) is StridedWinograd
    },
    **{
        algorithm.name: convolutions([algorithm.r], [1], WHOLE, WHOLE, groups=(2, 4, 6))
        for algorithm in ALL
        if type(algorithm) is GroupedWinograd
    },
    **{
        algorithm.name: convolutions([algorithm.r], [1], st.integers(16, 70))
        for algorithm in ALL
        if type(algorithm) is Winograd
    },
}


MANY = st.integers(LANES, 70)  # channels that are done in bfloat16
NARROW = {
    "gemm_1x1": convolutions([1], [1], MANY, paddings=[0]),
    "direct": convolutions([1, 2, 3, 4, 5, 7], [1, 2, 3, 4], MANY),
}
# Not done in bfloat16.
IMPRECISE = ("strassen_1x1", "wino_6x6_3x3", "wino_4x4_5x5", "grouped_wino_6x6_3x3")


@pytest.mark.slow
@pytest.mark.parametrize("name", GEOMETRIES)
def test_each_implementation_at_random_shapes(name):
    @given(GEOMETRIES[name])
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    def hold(case):
        check(*case, name)

    hold()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name not in IMPRECISE])
def test_each_implementation_in_bfloat16(name):
    @given(NARROW.get(name, GEOMETRIES[name]))
    @settings(max_examples=EXAMPLES // 5, deadline=None, derandomize=True)
    def hold(case):
        check(*case, name, "bfloat16")

    hold()


WINOGRAD = [algorithm.name for algorithm in ALL if isinstance(algorithm, Winograd)]


@pytest.mark.parametrize("name", WINOGRAD)
def test_winograds_tiles_in_several_turns(name):
    """A row of tiles at a time, none of them fused."""
    machine = MACHINE._replace(fused_tiles=1 << 30, chunk_bytes=1, streamed_chunk=1)

    @given(GEOMETRIES[name])
    @settings(max_examples=40, deadline=None, derandomize=True)
    def hold(case):
        with mock.patch.object(winograd, "MACHINE", machine):
            check(*case, name)

    hold()


@pytest.mark.parametrize("name", [*(name for name in WINOGRAD if "phases" not in name), "planar_wino_4x4_3x3"])
def test_a_border_wider_than_winograds_tiles(name):
    """No thread writes beyond its scratch, where a tile that lies outside its picture is put together."""
    stride, groups = 2 if "strided" in name else 1, 2 if "grouped" in name else 1
    window = {"size": int(name[-1]) * stride, "stride": stride, "padding": 130}
    options = {"filters": groups * LANES, "groups": groups, "activation": "linear", **window}
    network = make_network((3 if "planar" in name else groups * LANES, 5, 4), ("convolutional", options))
    check(network, random_array((1, *network.input_shape)), name, forked=2)


def test_more_threads_than_pairs_of_pixels():
    network = make_network((32, 12, 12), ("convolutional", {"filters": 2 * COLUMNS * LANES, "size": 1}))
    check(network, random_array((2, *network.input_shape)), "strassen_1x1", forked=100)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
@given(case=convolutions([1, 3], [1, 2], st.integers(1, 4), groups=(2, 4, 8, 32)))
@settings(max_examples=200, deadline=None)
def test_grouped_convolutions(precision, case):
    check(*case, precision=precision)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
@pytest.mark.parametrize("side", [1, 2, 13])
def test_whole_networks(side, precision):
    convolution = {"size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
    network = make_network(
        (3, side, side + 1),
        ("convolutional", {"filters": 40, **convolution}),
        ("maxpool", {"size": 2, "stride": 2}),
        ("convolutional", {"filters": 40, **convolution}),
        ("convolutional", {"filters": 40, **convolution, "activation": "linear"}),
        ("shortcut", {"from": -2, "activation": "leaky"}),
        ("convolutional", {"filters": 24, "size": 1, "activation": "leaky"}),
        ("route", {"layers": "-1,-2"}),
        ("connected", {"output": 21, "activation": "relu"}),
        ("softmax", {}),
    )
    check(network, random_array((5, 3, side, side + 1)), precision=precision)


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
@pytest.mark.parametrize("side", [1, 7, 14, 30])  # pictures that are copied with their edges, and a larger one
def test_sums_with_what_small_groups_give(side, precision):
    groups = {"filters": 40, "groups": 40, "size": 5, "pad": 1, "activation": "leaky"}
    network = make_network(
        (40, side, side + 2), ("convolutional", groups), ("convolutional", groups), ("shortcut", {"from": -2})
    )
    check(network, random_array((3, 40, side, side + 2)), precision=precision, forked=2)
