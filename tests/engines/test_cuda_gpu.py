"""What only a GPU can show: `make test-cuda`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import GOLDEN, REFERENCE, ROOT, needs_reference, run_golden
from support import FIFTEEN, assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py import engines, load_network
from darknet_py.engines import PRECISIONS, open_engine
from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.algorithms import FORWARD, Machine, candidates
from darknet_py.engines.cuda.algorithms.cudnn_graph import CudnnGraph
from darknet_py.engines.cuda.algorithms.depthwise import TILES
from darknet_py.engines.cuda.algorithms.implicit_gemm import ImplicitGemm, Tiling
from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.cudnn import CONSIDERED
from darknet_py.engines.cuda.cudnn import PRECISIONS as CUDNN_PRECISIONS
from darknet_py.engines.cuda.memory import MAX_EXECUTIONS
from darknet_py.engines.cuda.packing import Groups
from darknet_py.engines.cuda.tune import Tuner
from darknet_py.errors import EngineError
from darknet_py.images.decode import load_image
from darknet_py.images.fit import MODES, preprocess
from darknet_py.networks import packaged_cfg

with_gpu = pytest.mark.skipif(engines._find_gpu() is None, reason="no NVIDIA GPU, or no CuPy: pip install '.[cuda12]'")
pytestmark = [with_gpu, pytest.mark.slow]
# Per probability: in float32 as for the CPU; in the others what made-up weights, whose answers are close to each other,
# allow. In tf32, what cuDNN stores is truncated by the next layer: NumPy, with all layers so, was 0.008 off.
BOUNDS = {"float32": 5e-5, "tf32": 1e-2, "float16": 5e-3, "bfloat16": 5e-2}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache of its own: what is measured during tests must not be used by others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKNET_PY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder of the synthetic pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    subprocess.run([sys.executable, GOLDEN / "make_images.py", folder], check=True)
    return folder


@pytest.fixture(scope="module", params=FIFTEEN)
def made_up(request, tmp_path_factory):
    """A network's name and the file of its made-up weights."""
    path = tmp_path_factory.mktemp("made-up") / f"{request.param}.weights"
    old_header = ["--old-header"] if request.param == "tiny" else []
    make = [sys.executable, GOLDEN / "make_weights.py", ROOT / "cfg" / f"{request.param}.cfg", path, *old_header]
    subprocess.run(list(map(str, make)), check=True)
    expected = json.loads((GOLDEN / "made_weights.json").read_text())[request.param]["sha256"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
    yield request.param, path
    path.unlink()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_made_up_weights_give_the_recorded_answers(made_up, precision, pictures):
    name, weights = made_up
    network = load_network(f"cfg/{name}.cfg", weights, "cuda", precision=precision)
    with np.load(GOLDEN / "expected_synthetic.npz") as recorded:
        for key in recorded:
            of, *rest = key.split("/")
            if of != name:
                continue
            mode, picture = rest
            views = preprocess(
                load_image(pictures / picture), mode, network.input_shape.width, network.input_shape.height
            )
            answers = sum(network.predict(view[None])[0] for view in views)
            assert np.abs(answers - recorded[key]).max() <= BOUNDS[precision] * len(views), key


FORKS = json.loads((GOLDEN / "made_forks.json").read_text())


@pytest.mark.parametrize("name", [name for name in FORKS if name.startswith("tiny-") or packaged_cfg(name)])
@pytest.mark.filterwarnings("ignore::darknet_py.errors.DarknetWarning")
def test_made_up_weights_give_the_recorded_answers_of_forks(name, pictures, tmp_path):
    run_golden("make_tiny_cfgs.py", tmp_path)
    folder = ROOT / "cfg" if packaged_cfg(name) else tmp_path
    cfg, weights = folder / f"{name}.cfg", tmp_path / "made.weights"
    run_golden("make_weights.py", cfg, weights, *FORKS[name].get("flags", "").split())
    dialect = {"alexey": "alexeyab", "pjreddie": "darknet"}[FORKS[name]["program"]]
    network = load_network(cfg, weights, "cuda", dialect=dialect)
    with np.load(GOLDEN / "expected_forks.npz") as recorded:
        answers = {tuple(key.split("/")[1:]): recorded[key] for key in recorded if key.startswith(f"{name}/")}
    assert any(mode in MODES for mode, _ in answers)
    for (mode, picture), expected in answers.items():
        if mode in MODES:
            (view,) = network.prepare(load_image(pictures / picture), mode)
            assert np.abs(network.predict(view[None])[0] - expected).max() <= BOUNDS["float32"], (mode, picture)


@pytest.mark.parametrize("pictures_together", [1, 3, 32])
def test_gpu_and_cpu_agree(made_up, pictures_together):
    name, weights = made_up
    gpu, cpu = (load_network(f"cfg/{name}.cfg", weights, engine) for engine in ("cuda", "cpu"))
    batch = np.random.default_rng(0).random((pictures_together, *gpu.input_shape), np.float32)
    answers = gpu.predict(batch)
    assert np.abs(answers[:3] - cpu.predict(batch[:3])).max() <= BOUNDS["float32"]
    assert gpu.predict(batch).tobytes() == answers.tobytes()


@needs_reference
@pytest.mark.parametrize("precision", ["tf32", "float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["shorter", "center-crop"])
def test_other_precisions_name_the_same_first_class(mode, precision):
    """On 49 of the 50 photographs at least."""
    weights = REFERENCE / "real" / "tiny.weights"
    exact, fast = (load_network("cfg/tiny.cfg", weights, "cuda", precision=p) for p in ("float32", precision))
    pictures = sorted((REFERENCE / "real" / "images").iterdir())
    assert len(pictures) == 50
    same = 0
    for picture in pictures:
        (view,) = exact.prepare(load_image(picture), mode)
        same += exact.predict(view[None]).argmax() == fast.predict(view[None]).argmax()
    assert same >= 49


SMALL = make_network(
    (3, 64, 64), ("convolutional", {"filters": 32, "size": 3, "pad": 1, "activation": "leaky"}), ("avgpool", {})
)


def test_memory_stays_flat_over_10000_batches():
    engine = open_engine("cuda", SMALL.layers, random_parameters(SMALL.layers))
    plan = engine.plan(SMALL.layers)
    batch = random_array((8, 3, 64, 64))
    free = []
    for number in range(10_000):
        plan.run(batch[: 1 + number % 8])
        if number in (100, 9_999):
            free.append(engine.device.free_memory())
    assert free[1] >= free[0] - (1 << 20)


def test_a_batch_beyond_its_memory_names_one_that_runs():
    engine = open_engine("cuda", SMALL.layers, random_parameters(SMALL.layers))
    plan = engine.plan(SMALL.layers)
    one = engine.plan(SMALL.layers).execution(1).layout.size
    too_many = 2 * engine.device.free_memory() // one
    with pytest.raises(EngineError, match=r"try --batch \d+$") as caught:
        engine.plan(SMALL.layers).execution(too_many)
    fitting = int(str(caught.value).rsplit(" ", 1)[1])
    assert plan.execution(min(fitting, plan.together)).layout.size > 0
    assert plan.run(random_array((1, 3, 64, 64))).shape == (1, 32)


def test_a_gpu_that_is_not_there():
    with pytest.raises(EngineError, match=r"^gpu 99: this machine has \d+; "):
        load_network("cfg/shapes.cfg", "data/shapes.weights", gpu=99)


GRAPH = CudnnGraph()
REPEATED = 20  # runs that must give the same bits
CONVOLUTION = "convolutional", {"filters": 64, "size": 3, "pad": 1, "activation": "leaky"}
MIXED = make_network(
    (3, 20, 16),
    CONVOLUTION,
    CONVOLUTION,
    ("route", {"layers": "0,1"}),
    CONVOLUTION,
    ("shortcut", {"from": 0, "activation": "leaky"}),
    ("convolutional", {"filters": 64, "size": 3, "pad": 1, "groups": 2, "activation": "relu"}),
    ("convolutional", {"filters": 40, "size": 1, "stride": 2, "activation": "linear"}),
    ("convolutional", {"filters": 64, "size": 3, "pad": 1, "activation": "mish"}),
    ("convolutional", {"filters": 64, "size": 1, "activation": "linear"}),
    ("shortcut", {"from": -2, "activation": "swish"}),
    ("convolutional", {"filters": 64, "size": 3, "pad": 1, "groups": 64, "activation": "logistic"}),
    ("connected", {"output": 24, "activation": "leaky"}),
)
DEPTHWISE = make_network(
    (72, 20, 17),
    *(
        ("convolutional", {"filters": 72, "groups": 72, "size": size, "stride": stride, "pad": 1, "activation": name})
        for size, stride, name in ((3, 1, "relu6"), (5, 1, "swish"), (4, 1, "leaky"), (3, 2, "linear"), (5, 2, "relu"))
    ),
)


@pytest.fixture(scope="module")
def gpu():
    return engines._open_gpu(None)


@pytest.mark.parametrize("precision", CUDNN_PRECISIONS)
@pytest.mark.parametrize("rank", range(CONSIDERED))
def test_every_plan_of_cudnn_gives_the_definitions_answers(gpu, rank, precision):
    cudnn = gpu.open_cudnn()
    if cudnn is None:
        pytest.skip("no cuDNN, or no frontend to it: pip install '.[cudnn12]'")

    class Chosen(CudaEngine):
        """Takes cuDNN's plan of this rank, or its last one."""

        def consider(self, problem, tuner):
            found = [GRAPH.find(name, problem, self.tuned) for name in cudnn.names(problem)]
            plans = [planned for planned in found if planned is not None]
            assert plans, problem
            return [plans[min(rank, len(plans) - 1)]]

    parameters, batch = random_parameters(MIXED.layers), random_array((3, 3, 20, 16))
    expected = run_engine("reference", MIXED.layers, parameters, batch)
    engine = Chosen(MIXED.layers, parameters, gpu, precision, Tuner("cuDNN alone", cudnn))
    answers = engine.plan(MIXED.layers).run(batch)
    assert_close(answers, expected, BOUNDS[precision])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("splits", [1, 3])
def test_every_tile_gives_the_definitions_answers(gpu, splits, precision):
    """The same in every run; alone where a GPU does not share this tile."""

    class Chosen(CudaEngine):
        def consider(self, problem, tuner):
            return [tile.find(f"{tile.name}/{splits}", problem, self.machine) or Tiling(tile, 1)]

    machine = Machine(gpu.capability, gpu.multiprocessors, gpu.shared_limit)
    parameters, batch = random_parameters(MIXED.layers), random_array((3, 3, 20, 16))
    expected = run_engine("reference", MIXED.layers, parameters, batch)
    problem = Convolution(precision, 3, 20, 16, 20, 16, 3, 3, 1, 1, Groups(1, 64, 64), 64, 64)
    for tile in FORWARD[precision]:
        if isinstance(tile, ImplicitGemm) and not tile.misses(problem, machine):
            plan = Chosen(MIXED.layers, parameters, gpu, precision).plan(MIXED.layers)
            answers = plan.run(batch)
            assert_close(answers, expected, BOUNDS[precision])
            assert all(plan.run(batch).tobytes() == answers.tobytes() for _ in range(REPEATED)), tile.name


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("tile", TILES)
def test_every_tile_of_depthwise_convolutions_gives_the_definitions_answers(gpu, tile, precision):
    """The same in every run; one pixel a thread where a window has no such tile."""

    class Chosen(CudaEngine):
        def consider(self, problem, tuner):
            able = candidates(problem, self.machine)
            names = "depthwise:{}x{}".format(*tile), "depthwise:1x1"
            return [next(choice for name in names for choice in able if choice.name == name)]

    parameters, batch = random_parameters(DEPTHWISE.layers), random_array((3, 72, 20, 17))
    expected = run_engine("reference", DEPTHWISE.layers, parameters, batch)
    plan = Chosen(DEPTHWISE.layers, parameters, gpu, precision).plan(DEPTHWISE.layers)
    answers = plan.run(batch)
    assert_close(answers, expected, BOUNDS[precision])
    assert all(plan.run(batch).tobytes() == answers.tobytes() for _ in range(REPEATED))


def test_networks_run_beside_each_other():
    """Of ever different sizes, so that each allocates, records and frees while others do."""
    parameters = random_parameters(SMALL.layers)
    sizes = [(height, height + 1) for height in range(32, 32 + 3 * MAX_EXECUTIONS)]

    def run(name):
        engine = open_engine(name, SMALL.layers, parameters)
        return [
            engine.plan(SMALL.layers_at(*size)).run(random_array((2, 3, *size))) for size in sizes for _ in range(2)
        ]

    expected = run("reference")
    with ThreadPoolExecutor() as pool:
        for answers in pool.map(run, ["cuda"] * 3):
            for answer, right in zip(answers, expected, strict=True):
                assert_close(answer, right, BOUNDS["float32"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_process_ends_in_silence(precision):
    code = (
        "import darknet_py, numpy; network = darknet_py.load_network('cfg/shapes.cfg', 'data/shapes.weights', 'cuda', "
    )
    code += f"precision='{precision}'); network.predict(numpy.zeros((1, *network.input_shape), numpy.float32))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
