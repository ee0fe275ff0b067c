"""The CUDA engine against the layers' definitions: its own plans and kernels, on the CPU in place of a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from host_gpu import BOUNDS, NEW, OLD, HostGpu, check, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from support import FIFTEEN, make_network, random_array
from support_networks import CANCELLING, OTHER_LAYERS, cancelling_parameters, convolutions, networks

from darknet_py import load_network
from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda import plan as module
from darknet_py.engines.cuda.launches import Layout, describe, no_kernel
from darknet_py.engines.cuda.packing import PACK, Groups, merge_groups, round_to
from darknet_py.engines.cuda.select import Choice, candidates
from darknet_py.engines.passes import INPUT, compile_steps
from darknet_py.images.decode import load_image
from darknet_py.layers.activations import ACTIVATIONS
from darknet_py.network import load_structure


@needs_compiler
@given(convolutions(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=120)
def test_convolutions_of_any_geometry(network, precision):
    check(network, precision)


@needs_compiler
@given(networks(), st.sampled_from(list(BOUNDS)))
@settings(max_examples=60)
def test_any_network(network, precision):
    check(network, precision)


@needs_compiler
def test_normalization_by_no_variance_leaves_the_bias():
    check(CANCELLING, parameters=cancelling_parameters())


CONVOLUTION = make_network(
    (24, 9, 7),
    ("convolutional", {"filters": 40, "size": 3, "pad": 1, "batch_normalize": 1, "activation": "leaky"}),
    ("convolutional", {"filters": 40, "size": 3, "pad": 1, "activation": "leaky"}),
    ("shortcut", {"from": 0, "activation": "leaky"}),
)


def tiles(precision, capability):
    """Every tile that a GPU of `capability` may be given, by one block each and by three."""
    program = compile_steps(CONVOLUTION.layers, PACK)
    layout = Layout(program, CONVOLUTION.layers, precision, 1)
    (step,) = (step for step in program.steps if step.layer == 1)
    convolution = describe(step, layout)
    found = {choice.tile for choice in candidates(convolution, capability, 4, 99 << 10)}
    return [Choice(tile, splits) for tile in sorted(found, key=str) for splits in (1, 3)]


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "capability", "choice"),
    [
        pytest.param(precision, capability, choice, id=f"{precision}-{choice.name}")
        for precision, capability in (("float32", NEW), ("tf32", NEW), ("float16", NEW), ("float16", OLD))
        for choice in tiles(precision, capability)
    ],
)
def test_every_tile(precision, capability, choice, monkeypatch):
    monkeypatch.setattr(module, "candidates", lambda *_: [choice])
    execution = check(CONVOLUTION, precision, 1, capability)
    assert set(execution.choices.values()) == {choice}


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    convolution = ("convolutional", {"filters": 9, "size": 1, "activation": activation})
    check(make_network((5, 4, 3), convolution, ("activation", {"activation": activation})), "tf32")


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("channels", [1, 4, 5, 16])
@pytest.mark.parametrize("section", [*OTHER_LAYERS, ("connected", {"output": 11, "activation": "leaky"})], ids=str)
def test_other_layers_first_between_convolutions_and_last(precision, channels, section):
    convolution = ("convolutional", {"filters": channels, "size": 1, "activation": "leaky"})
    check(make_network((3, 5, 6), convolution, section, convolution), precision)
    check(make_network((3, 5, 6), convolution, section), precision)
    if section[0] not in ("route", "shortcut"):
        check(make_network((channels, 5, 6), section, convolution), precision)
        check(make_network((channels, 5, 6), section, convolution, ("shortcut", {"from": 0})), precision)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
def test_the_embedded_network_knows_the_star(precision):
    network = load_network("cfg/shapes.cfg", "data/shapes.weights", "reference")
    (view,) = network.prepare(load_image("data/star.png"), "letterbox")
    engine = CudaEngine(network.layers, network.parameters, HostGpu(), precision)
    answers = engine.plan(network.layers).run(view[None])
    np.testing.assert_allclose(answers, network.predict(view[None]), rtol=0, atol=BOUNDS[precision])
    assert answers.argmax() == 8


@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", FIFTEEN)
def test_values_lie_within_their_buffers_and_apart_from_what_is_alive(name, precision, pictures):
    """That buffers hold what is read from them is test_passes.py's; here, that strides and padding keep to them."""
    layers = load_structure(f"cfg/{name}.cfg").layers
    program = compile_steps(layers, PACK)
    layout = Layout(program, layers, precision, pictures)
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


@pytest.mark.parametrize("name", FIFTEEN)
def test_every_step_of_the_networks_has_a_kernel(name):
    layers = load_structure(f"cfg/{name}.cfg").layers
    assert not any(no_kernel(layers[index]) for index in compile_steps(layers, PACK).running)


def test_groups_are_computed_in_whole_packs():
    assert merge_groups(32, 128, 128, 128) == Groups(4, 32, 32)
    assert merge_groups(3, 15, 6, 16) == Groups(1, 16, 8)
    assert merge_groups(2, 128, 64, 128) == Groups(2, 64, 32)


@pytest.mark.parametrize(("precision", "digits"), [("tf32", 11), ("bfloat16", 8)])
def test_rounding_is_to_the_nearest(precision, digits):
    numbers = random_array((1000,))
    rounded = round_to(numbers, precision)
    if precision == "bfloat16":
        rounded = (rounded.astype(np.uint32) << 16).view(np.float32)
    assert np.all(np.abs(rounded - numbers) <= np.abs(numbers) * 2.0**-digits)
    special = np.array([np.nan, np.inf, -np.inf, 0], np.float32)
    kept = round_to(special, precision)
    kept = (kept.astype(np.uint32) << 16).view(np.float32) if precision == "bfloat16" else kept
    np.testing.assert_array_equal(kept, special)


@needs_compiler
@pytest.mark.parametrize("precision", BOUNDS)
def test_numbers_are_rounded_alike_on_both_sides(precision):
    network = make_network((3, 16, 16), ("dropout", {}))
    batch = random_array((1, 3, 16, 16))
    batch[0, 0, 0, :4] = np.inf, -np.inf, np.nan, 0
    rounded = round_to(batch, precision)
    if precision == "bfloat16":
        rounded = (rounded.astype(np.uint32) << 16).view(np.float32)
    answers = CudaEngine(network.layers, [{}], HostGpu(), precision).plan(network.layers).run(batch)
    np.testing.assert_array_equal(answers.reshape(batch.shape), rounded.astype(np.float32))
