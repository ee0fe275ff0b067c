"""Which engine is chosen where there is a GPU, and where there is none."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from host_gpu import HostGpu, needs_compiler

from darknet_py import engines, load_network
from darknet_py.cli import main
from darknet_py.errors import DarknetWarning, EngineError
from darknet_py.images.decode import load_image

needs_no_gpu = pytest.mark.skipif(any(map(engines._can_load, engines.DRIVERS)), reason="there is a GPU's driver")


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


def test_cupy_that_cannot_be_loaded_is_one_line(tmp_path, monkeypatch):
    text = "try:\n    1 / 0\nexcept ArithmeticError as reason:\n    raise ImportError('\\n====\\nFailed') from reason\n"
    (tmp_path / "cupy.py").write_text(text)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"^engine=cuda: CuPy cannot be loaded: division by zero; pip install .*"):
        load_on("cuda")


class Hidden:
    """Makes a package missing."""

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
    assert (network.interpolate, fork.interpolate) == (None, engines._interpolate)
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


@pytest.mark.parametrize(("value", "hidden"), [("", True), ("-1", True), ("0", False)])
def test_gpus_that_are_hidden_are_left_alone_in_silence(value, hidden, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    monkeypatch.setattr(engines, "find_spec", lambda name: True)
    monkeypatch.setattr(engines, "_can_load", lambda library: True)
    assert engines.why_no_gpu() == ("CUDA_VISIBLE_DEVICES hides all GPUs" if hidden else "")


def test_a_gpu_that_does_not_work_is_warned_of(monkeypatch):
    def fail(number):
        raise EngineError("no GPU can be used: too old", option="engine=cuda")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
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
