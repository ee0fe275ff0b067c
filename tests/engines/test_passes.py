"""Programs: every step reads what was written for it, wherever buffers are shared."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import (
    FIFTEEN,
    RESIZABLE,
    assert_close,
    make_network,
    own_error,
    random_array,
    random_parameters,
    run_engine,
    scale_of,
)
from support_networks import networks

from darknet_py.engines import open_engine
from darknet_py.engines.cpu.algorithms.grouped_winograd import GroupedWinograd
from darknet_py.engines.cpu.algorithms.phases import PhasesWinograd, StridedWinograd
from darknet_py.engines.cpu.algorithms.planar_winograd import PlanarWinograd
from darknet_py.engines.cpu.algorithms.winograd import Winograd
from darknet_py.engines.cpu.distance import Distance
from darknet_py.engines.cpu.isa import LANES
from darknet_py.engines.cpu.toom import MOST_POINTS
from darknet_py.engines.cuda.packing import PACK
from darknet_py.engines.exchange import average_first, running_order
from darknet_py.engines.passes import INPUT, compile_steps
from darknet_py.layers.shortcut import Shortcut
from darknet_py.network import load_structure

BLOCKS = 1, PACK, LANES  # the plain layout, the GPU's, the CPU's


class Contents:
    """For each layer's output, numbers that say which layer each of its values is from."""

    def __init__(self, layers):
        self.layers = layers

    def __getitem__(self, layer):
        if layer == INPUT:
            return np.arange(self.layers[0].input_shapes[0].size)
        if self.layers[layer].idle or self.layers[layer].concatenates:
            return np.concatenate([self[source] for source in self.layers[layer].inputs])
        return np.arange(self.layers[layer].shape.size) + ((layer + 1) << 32)


def check_program(program, layers):
    """Run `program` with numbers that name their writers instead of values, and compare each read with the layers.

    Both with few buffers, and with buffers that only values of one height and width share.
    """
    check_slots(program, layers, {value: place.slot for value, place in program.places.items()})
    sized = {value: place.sized_slot for value, place in program.places.items()}
    sides = {(slot, program.shape(value, layers)[1:]) for value, slot in sized.items()}
    assert len(sides) == len(set(sized.values()))
    check_slots(program, layers, sized)


def check_slots(program, layers, slots):
    """The same with these buffers."""
    contents = Contents(layers)
    buffers = {}
    for value, place in program.places.items():
        size = max(program.shape(place.root, layers).size, len(buffers.get(slots[value], ())))
        buffers[slots[value]] = np.full(size, -1)

    def cells(value):
        """The cells where `value` is, as (buffer, slice); the input is in none."""
        place = program.places[value]
        plane = np.prod(program.shape(place.root, layers)[1:], dtype=int)
        size = program.shape(value, layers).size
        assert (place.channel * plane) + size <= len(buffers[slots[value]])
        return slots[value], slice(place.channel * plane, place.channel * plane + size)

    def read(value):
        if value == INPUT:
            return contents[INPUT]
        slot, part = cells(value)
        return buffers[slot][part]

    for step in program.steps:
        target_slot, target = cells(step.target)
        for value in set(step.reads) - {INPUT}:
            slot, part = cells(value)
            over = layers[step.layer].overwrites if step.task == "layer" else None
            same = (slot, part) == (target_slot, target) and over is not None and value == step.sources[over]
            apart = slot != target_slot or part.stop <= target.start or target.stop <= part.start
            assert same or apart, f"{step} writes over what it reads"
        if step.task == "copy":
            buffers[target_slot][target] = read(step.source)
            continue
        layer, written = layers[step.layer], layers[step.target]
        for value, source in zip(step.sources, layer.inputs, strict=True):
            assert (read(value) == contents[source]).all(), f"{step} reads something else"
        if step.sum is not None:
            assert written.adds
            assert (read(step.sum.other) == contents[written.inputs[1]]).all(), f"{step} adds something else"
        if written is not layer:
            assert np.array_equal(contents[written.inputs[0]], contents[layer.index]), f"{step} skips a layer"
        buffers[target_slot][target] = contents[written.index]
    answer = next((layer.index for layer in reversed(running_order(layers)) if layer.answers), 0)
    assert (read(program.output) == contents[answer]).all()


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", FIFTEEN)
def test_every_step_reads_what_was_written_for_it(name, block):
    network = load_structure(f"cfg/{name}.cfg")
    program = compile_steps(network.layers, block)
    check_program(program, network.layers)
    if name in RESIZABLE:
        check_program(program, network.layers_at(192, 256))


def joined_shortcuts(program):
    """The shortcuts that a convolution does as it stores its own values."""
    return {step.target for step in program.steps if step.sum is not None}


@pytest.mark.parametrize("name", FIFTEEN)
def test_shortcuts_of_one_shape_join_the_convolution_before_them(name):
    layers = load_structure(f"cfg/{name}.cfg").layers
    shortcuts = [layer for layer in layers if isinstance(layer, Shortcut)]
    alike = {layer.index for layer in shortcuts if layer.input_shapes[0] == layer.input_shapes[1]}
    program = compile_steps(layers)
    assert joined_shortcuts(program) == alike
    left = [step for step in program.steps if isinstance(layers[step.layer], Shortcut)]
    assert len(left) == len(shortcuts) - len(alike)
    assert all(
        step.final_activation == layers[step.target].activation for step in program.steps if step.target in alike
    )


CONV = ("convolutional", {"filters": 2, "activation": "leaky"})
ADD = ("shortcut", {"from": 0, "activation": "leaky"})


@pytest.mark.parametrize(
    ("sections", "joined"),
    [
        ([CONV, CONV, ADD], {2}),
        ([CONV, CONV, ("dropout", {}), ADD], {3}),
        ([CONV, CONV, ADD, ADD], {2}),
        ([CONV, CONV, ADD, ("route", {"layers": "2,1"})], set()),
        ([CONV, CONV, ("route", {"layers": 0}), CONV, ("route", {"layers": 1}), ("shortcut", {"from": 3})], set()),
        ([CONV, ("convolutional", {"filters": 3}), ADD], set()),
        ([CONV, ("convolutional", {"filters": 2, "activation": "tanh"}), ADD], set()),
        ([CONV, CONV, ("shortcut", {"from": 0, "activation": "tanh"})], {2}),
        ([CONV, CONV, ("shortcut", {"from": 0, "activation": "swish"})], set()),
        ([CONV, CONV, ("shortcut", {"from": 0, "alpha": 2})], set()),
        ([CONV, CONV, ("shortcut", {"from": 0, "beta": 2})], set()),
        ([CONV, ("maxpool", {"size": 3, "stride": 1}), ADD], set()),
        ([("convolutional", {"filters": 4}), CONV, CONV, ("route", {"layers": "1,2"}), ADD], set()),
    ],
    ids=[
        "plain", "past a dropout", "one a convolution", "read elsewhere", "the other comes later", "other channels",
        "activation before", "activation after", "an unknown one after", "alpha", "beta", "no convolution",
        "a part of a route",
    ],
)  # fmt: skip
def test_shortcuts_join_a_convolution_only_where_it_may_be_done(sections, joined):
    network = make_network((3, 4, 4), *sections)
    program = compile_steps(network.layers, curves=["tanh"])
    check_program(program, network.layers)
    assert joined_shortcuts(program) == joined


POOL = ("maxpool", {"size": 2, "stride": 2})


@pytest.mark.parametrize(
    ("sections", "joined"),
    [
        ([CONV, POOL], {1}),
        ([CONV, ("dropout", {}), POOL, CONV, POOL, POOL], {2, 4}),
        ([CONV, ("convolutional", {"filters": 2, "activation": "mish"}), POOL], set()),
        ([CONV, ("convolutional", {"filters": 2, "activation": "relu"}), POOL], set()),
        ([CONV, POOL, ("route", {"layers": 0}), POOL], set()),
        ([CONV, CONV, ADD, POOL], set()),
        ([CONV, ("maxpool", {"size": 2, "stride": 2, "padding": 0})], set()),
        ([CONV, ("maxpool", {"size": 2, "stride": 1})], set()),
        ([CONV, ("maxpool", {"size": 3, "stride": 2})], set()),
        ([CONV, ("maxpool", {"size": 2, "stride": 2, "stride_x": 1})], set()),
        ([CONV, ("maxpool", {"size": 2, "stride": 2, "maxpool_depth": 1, "out_channels": 1})], set()),
        ([POOL, CONV], set()),
    ],
    ids=[
        "plain", "past a dropout, and a second one", "a curve", "no number of minus infinity", "read elsewhere",
        "a sum", "no last half", "stride", "window", "two strides", "of channels", "of the picture",
    ],
)  # fmt: skip
def test_halving_joins_the_convolution_before_it_only_where_it_may_be_done(sections, joined):
    layers = make_network((3, 5, 4), *sections).layers
    program = compile_steps(layers, halving=range(len(layers)))
    check_program(program, layers)
    assert {step.pool for step in program.steps} - {None} == joined
    assert joined <= set(program.running)
    assert not [step for step in compile_steps(layers).steps if step.pool is not None]


def test_a_step_that_halves_is_defined_by_both_layers():
    layers = make_network((3, 5, 4), CONV, POOL).layers
    (step,) = compile_steps(layers, halving=[0]).steps
    parameters, batch = random_parameters(layers), random_array((2, 3, 5, 4))
    defined = step.define(layers, dict(enumerate(parameters)), lambda value: batch)
    assert np.array_equal(defined.reshape(2, -1), run_engine("reference", layers, parameters, batch))


def test_what_has_factors_behind_is_halved_behind_them():
    """The factors may be negative: the maximum of what comes before them is not that of what comes after."""
    convolution = {"filters": 18, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}
    network = make_network((3, 6, 5), ("convolutional", convolution), POOL)
    parameters, batch = random_parameters(network.layers), random_array((2, 3, 6, 5))
    arrays = next(iter(parameters))
    arrays["scales"][...] *= -1
    arrays["means"][...] = 1e4
    arrays["variances"][...] = 1
    engine = open_engine("cpu", network.layers, parameters)
    expected = run_engine("reference", network.layers, parameters, batch)
    assert (0, "scale") in engine.factors
    assert_close(engine.plan(network.layers).run(batch), expected, 5e-6)


@pytest.mark.parametrize("name", FIFTEEN)
def test_no_ops_and_copies_take_no_step(name):
    layers = load_structure(f"cfg/{name}.cfg").layers
    steps = compile_steps(layers).steps
    assert {step.task for step in steps} == {"layer"}
    assert not any(layers[step.layer].idle or layers[step.layer].concatenates for step in steps)


def test_a_chain_of_layers_takes_turns_in_two_buffers():
    layers = load_structure("cfg/darknet.cfg").layers
    assert compile_steps(layers).slot_sizes(layers) == [16 * 224 * 224, 16 * 112 * 112]


def test_dense_block_grows_in_place():
    """DenseNet joins each block's outputs to all before them: they lie side by side from the start."""
    network = load_structure("cfg/densenet201.cfg")
    joined = [layer for layer in network.layers if layer.concatenates]
    assert len(joined) == 98
    program = compile_steps(network.layers)
    assert sum(program.slot_sizes(network.layers)) < 0.1 * sum(layer.shape.size for layer in network.layers)


def test_a_route_is_not_overwritten_while_somebody_reads_a_part_of_it():
    network = make_network(
        (3, 4, 4), CONV, CONV, ("route", {"layers": "1,0"}), ("batchnorm", {}),
        ("activation", {"activation": "leaky"}), CONV, ("route", {"layers": "5,0"}), ("softmax", {}),
    )  # fmt: skip
    check_program(compile_steps(network.layers), network.layers)


def test_a_route_of_such_a_route_is_not_overwritten_either():
    network = make_network(
        (3, 4, 4), CONV, CONV, CONV, ("route", {"layers": "1,0"}), ("route", {"layers": "3,2"}), ("batchnorm", {}),
        CONV, ("route", {"layers": "6,0"}), ("softmax", {}),
    )  # fmt: skip
    check_program(compile_steps(network.layers), network.layers)


@pytest.mark.parametrize(("behind", "in_place"), [([], True), ([("shortcut", {"from": -4})], False)])
def test_channels_are_scaled_in_place_where_nobody_reads_them_any_more(behind, in_place):
    squeezed = [("avgpool", {}), ("convolutional", {"filters": 16}), ("scale_channels", {"from": -3})]
    network = make_network((3, 4, 4), ("convolutional", {"filters": 16}), *squeezed, *behind)
    program = compile_steps(network.layers)
    check_program(program, network.layers)
    assert (program.places[0].slot == program.places[3].slot) == in_place


def test_ten_thousand_layers_in_place_lie_in_one_buffer():
    """Found in time that grows with their number, not with its square: the fifth part of a second, for nine."""
    network = make_network((1, 1, 1), *[("activation", {"activation": "relu"})] * 10_000)
    start = time.process_time()
    program = compile_steps(network.layers)
    assert time.process_time() - start < 5
    assert program.slot_sizes(network.layers) == [1]


# Random networks with all kinds of joins


@given(networks(), st.sampled_from(BLOCKS))
@settings(max_examples=300, deadline=None)
def test_any_networks_steps_read_what_was_written_for_them(network, block):
    for layers in (network.layers, average_first(network.layers)):
        check_program(compile_steps(layers, block), layers)
        check_program(compile_steps(layers, block, range(len(layers))), layers)


# Algorithms for more channels or larger pictures than networks here mostly have.
FAVOURED = None, PlanarWinograd, Winograd, GroupedWinograd, StridedWinograd, PhasesWinograd


@pytest.mark.parametrize("run", range(3))  # each from a seed of its own
@given(networks(), st.integers(0, 99), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.sampled_from(FAVOURED))
@settings(max_examples=int(os.environ.get("DARKNET_PY_NETWORKS", 500)), deadline=None)
def test_any_network_answers_on_the_cpu_engine_as_its_layers_define(
    run, network, seed, pictures, threads, far, favoured
):
    layers, parameters = network.layers, random_parameters(network.layers, seed)
    batch = random_array((pictures, *network.input_shape), seed)
    expected = run_engine("reference", layers, parameters, batch)
    # A fork may have more threads than there are cores.
    cheap = mock.patch.object(favoured, "cycles", return_value=0) if favoured else nullcontext()
    with mock.patch.object(Distance, "is_far", return_value=far), cheap:
        engine = open_engine("cpu", layers, parameters).fork(threads)
        answers = engine.plan(layers).run(batch)
    # Where a network makes large errors of small ones: Winograd's largest tiles err by 1e-5 of a layer's outputs, 30
    # times what `own_error` moves the input by.
    bound, errs = 5e-5, any(getattr(choice.algorithm, "n", 0) == MOST_POINTS for choice in engine.choices.values())
    if np.abs(answers - expected).max(initial=0) > bound * scale_of(expected):
        bound = max(bound, (100 if errs else 20) * own_error(layers, parameters, batch, expected))
    assert_close(answers, expected, bound)
