"""The CUDA engine against the layers' definitions: its own plans and kernels, on the CPU in place of a GPU."""

from __future__ import annotations

import subprocess
import sys
from weakref import finalize

import numpy as np
import pytest
from conftest import ROOT
from host_gpu import BOUNDS, NEW, OLD, HostGpu, HostMemory, check, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from support import FIFTEEN, assert_close, make_network, random_array, random_parameters, run_engine
from support_networks import convolutions, networks

from darknet_py import engines, load_network
from darknet_py.cli import main
from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda import plan as module
from darknet_py.engines.cuda.launches import Layout, describe
from darknet_py.engines.cuda.packing import PACK, Groups, merge_groups, round_to
from darknet_py.engines.cuda.select import Choice, candidates
from darknet_py.engines.passes import INPUT, compile_steps
from darknet_py.errors import CfgError, DarknetWarning, EngineError
from darknet_py.image import load_image
from darknet_py.layers.activations import ACTIVATIONS
from darknet_py.network import load_structure

needs_no_gpu = pytest.mark.skipif(any(map(engines._can_load, engines.DRIVERS)), reason="there is a GPU's driver")


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
@pytest.mark.parametrize(
    "section",
    [
        ("avgpool", {}),
        ("maxpool", {"size": 3, "stride": 2}),
        ("softmax", {"temperature": 3}),
        ("batchnorm", {}),
        ("crop", {"crop_height": 3, "crop_width": 4}),
        ("crop", {"crop_height": 4, "crop_width": 4, "noadjust": 1}),
        ("dropout", {}),
        ("cost", {}),
        ("route", {"layers": "0,0"}),
        ("shortcut", {"from": 0, "alpha": 0.5, "beta": 3}),
        ("connected", {"output": 11, "activation": "leaky"}),
    ],
    ids=str,
)
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
    assert {step.kind for step in compile_steps(layers, PACK).steps} <= module.STEPS.keys()


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


class SmallGpu(HostGpu):
    """A GPU with room for so many bytes besides what is there already."""

    room = 1 << 40

    def allocate(self, size):
        if size > self.room:
            raise MemoryError
        return super().allocate(size)

    def free_memory(self):
        return self.room


SMALL = make_network((3, 16, 16), ("convolutional", {"filters": 16, "activation": "leaky"}))


def small_engine(room):
    gpu = SmallGpu()
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")
    gpu.room = room
    return engine


def test_a_batch_beyond_the_gpus_memory_names_the_one_to_try():
    plan = small_engine(300_000).plan(SMALL.layers)
    with pytest.raises(EngineError, match=r"batch=64: takes 0\.0 GiB on host, of which 0\.0 are free; try --batch 8$"):
        plan.run(random_array((64, 3, 16, 16)))


def test_a_picture_beyond_the_gpus_memory_is_told_of():
    with pytest.raises(CfgError, match=r"a picture of 16 x 16 takes .* take the CPU: -nogpu$"):
        small_engine(1000).plan(SMALL.layers).run(random_array((1, 3, 16, 16)))


def test_weights_beyond_the_gpus_memory_are_told_of():
    gpu = SmallGpu()
    gpu.room = 100
    with pytest.raises(EngineError, match="memory does not hold the network's weights"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), gpu, "float32")


def test_a_gpu_too_full_for_a_queue_is_told_of(monkeypatch):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(HostGpu, "open_queue", refuse)
    with pytest.raises(EngineError, match="memory does not hold the network's weights"):
        small_engine(1 << 40)


def test_weights_beyond_float16_are_refused():
    parameters = random_parameters(SMALL.layers)
    parameters[0]["kernels"][0] = 1e6
    with pytest.raises(EngineError, match="precision=float16: layer 0 has weights beyond 65504"):
        CudaEngine(SMALL.layers, parameters, HostGpu(), "float16")


def test_tf32_wants_tensor_cores():
    with pytest.raises(EngineError, match=r"precision=tf32: host has compute capability 7\.5; 8\.0 is expected"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu(OLD), "tf32")


@needs_compiler
def test_batches_of_more_numbers_than_kernels_count_run_in_parts(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 2 * 16 * 16 * 16 + 1)
    engine = small_engine(1 << 40)
    plan, batch = engine.plan(SMALL.layers), random_array((5, 3, 16, 16))
    assert plan.together == 2
    answers = plan.run(batch)
    assert [key[-1] for key in engine.executions] == [2]
    assert_close(answers, run_engine("reference", SMALL.layers, random_parameters(SMALL.layers), batch), 5e-5)
    assert plan.run(batch[:0]).shape == (0, SMALL.layers[-1].shape.size)


def test_gpus_before_compute_capability_7_are_refused():
    with pytest.raises(EngineError, match=r"host has compute capability 6\.1; 7\.0 is expected; take the CPU: -nogpu"):
        CudaEngine(SMALL.layers, random_parameters(SMALL.layers), HostGpu((6, 1)), "float32")


def test_executions_are_let_go_of():
    engine = small_engine(1 << 40)
    for pictures in range(1, 2 * module.MAX_EXECUTIONS):
        engine.execution(SMALL.layers, pictures)
    assert len(engine.executions) == module.MAX_EXECUTIONS


@needs_compiler
@pytest.mark.parametrize(("pictures", "times", "made"), [(4, 2, [8, 5]), (2, 1, [8, 5]), (2, 2, [8, 5, 2])])
def test_a_smaller_batch_is_served_by_what_there_is_for_a_larger_one(pictures, times, made):
    parameters = random_parameters(SMALL.layers)
    engine = CudaEngine(SMALL.layers, parameters, HostGpu(), "float32")
    plan = engine.plan(SMALL.layers)
    for larger in (5, 8):
        plan.run(random_array((larger, 3, 16, 16)))
    batch = random_array((pictures, 3, 16, 16), 1)
    expected = run_engine("reference", SMALL.layers, parameters, batch)
    for _ in range(times):
        assert_close(plan.run(batch), expected, 5e-5)
    assert [key[2] for key in engine.executions] == made  # the last one was used last


class FullGpu(HostGpu):
    """A GPU with room for one execution of 2 pictures of SMALL."""

    room = 140_000

    def allocate(self, size):
        if size > self.room:
            raise MemoryError
        memory = HostMemory(size)
        self.room -= size
        finalize(memory, self.free, size)
        return memory

    def free(self, size):
        self.room += size

    def free_memory(self):
        return self.room


def test_forks_give_up_to_each_other_what_they_do_not_use():
    engine = CudaEngine(SMALL.layers, random_parameters(SMALL.layers), FullGpu(), "float32")
    forks = [engine.fork(1), engine.fork(1)]
    plans = [fork.plan(SMALL.layers) for fork in forks]
    batch = random_array((2, 3, 16, 16))
    first = plans[0].run(batch)
    assert np.array_equal(plans[1].run(batch), first)
    assert [len(fork.executions) for fork in forks] == [0, 1]
    with forks[1].lock, pytest.raises(EngineError, match=r"try --batch 1$"):
        plans[0].run(batch)


# Without a GPU


def load_on(engine, **options):
    return load_network("cfg/shapes.cfg", "data/shapes.weights", engine, **options)


@pytest.mark.parametrize(("options", "asked"), [({}, "engine=cuda"), ({"gpu": 0}, "gpu 0"), ({"gpu": 3}, "gpu 3")])
def test_without_cupy_the_engine_says_what_to_install(options, asked, monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden("cupy"), *sys.meta_path])
    with pytest.raises(
        EngineError, match=rf"^{asked}: CuPy is not installed; pip install .*, or take the CPU: -nogpu$"
    ):
        load_on("cuda", **options)


class Hidden:
    """Lets a package be missing."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


@needs_no_gpu
def test_without_a_gpu_the_engine_is_one_line():
    pytest.importorskip("cupy", reason="no CuPy: pip install '.[cuda12]'")
    with pytest.raises(EngineError, match=r"^engine=cuda: no GPU can be used: cuda\w+: .*; take the CPU: -nogpu$"):
        load_on("cuda")


@needs_no_gpu
def test_auto_takes_the_cpu():
    assert load_on("auto").engine == "cpu"


def test_auto_takes_the_gpu_where_one_works(monkeypatch):
    monkeypatch.setattr(engines, "_find_gpu", HostGpu)
    monkeypatch.setattr(engines, "_open_gpu", lambda number: HostGpu())
    assert [load_on(name).engine for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    assert load_on("auto", gpu=1).engine == "cuda"


def test_forks_fit_pictures_by_the_compiled_kernel_to_the_same_bits(monkeypatch):
    monkeypatch.setattr(engines, "_open_gpu", lambda number: HostGpu())
    network = load_on("cuda")
    fork = network.fork(1)
    assert (network._engine.interpolate, fork._engine.interpolate) == (None, engines._interpolate)
    picture = load_image("data/star.png")
    one, other = (of.prepare(picture, "stretch")[0] for of in (network, fork))
    assert one.tobytes() == np.ascontiguousarray(other).tobytes()


@needs_compiler
def test_valid_on_a_gpu_says_what_limits_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(engines, "_open_gpu", lambda number: HostGpu())
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "star.png").write_bytes((ROOT / "data" / "star.png").read_bytes())
    assert main(["classifier", "valid", "shapes", str(tmp_path), "-i", "0", "--workers", "1"]) == 0
    told = capsys.readouterr()
    assert "top-1: 100.00%" in told.out
    assert "darknet: limited by the GPU: " in told.err


def test_a_gpu_that_does_not_work_is_warned_of(monkeypatch):
    def fail(number):
        raise EngineError("no GPU can be used: too old", option="engine=cuda")

    monkeypatch.setattr(engines, "find_spec", lambda name: True)
    monkeypatch.setattr(engines, "_can_load", lambda library: True)
    monkeypatch.setattr(engines, "_open_gpu", fail)
    with pytest.warns(DarknetWarning, match="no GPU can be used: too old; the CPU is used$"):
        assert load_on("auto").engine == "cpu"


def test_nothing_loads_cupy_before_the_engine_is_asked_for():
    code = (
        "import sys, darknet_py; darknet_py.load_network('cfg/shapes.cfg', 'data/shapes.weights', 'cpu');"
        "print('cupy' in sys.modules, 'darknet_py.engines.cuda' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("precision", ["tf32", "float16"])
def test_the_cpu_refuses_the_gpus_precisions(precision):
    with pytest.raises(EngineError, match=f"^precision={precision}: the CPU computes in float32 or bfloat16"):
        load_on("cpu", precision=precision)
