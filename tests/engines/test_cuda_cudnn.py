"""Convolutions by cuDNN: its graphs against the layers' definitions, and what is kept of its plans."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from host_cudnn import HostCudnn, needs_frontend
from host_gpu import check, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st
from support import make_network
from support_networks import convolutions, networks

from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.cudnn import PRECISIONS, Cudnn, GraphChoice, UnsupportedError, open_cudnn
from darknet_py.engines.cuda.packing import Groups
from darknet_py.engines.cuda.tune import Tuner
from darknet_py.errors import DarknetWarning


@pytest.fixture(autouse=True, scope="module")
def shared_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKNET_PY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    return tmp_path


def check_graphs(network, precision):
    """Hold graphs to the definitions, and to compute all that they can."""
    cudnn = HostCudnn()
    execution = check(network, precision, cudnn=cudnn, tuner=Tuner("host"))
    for convolution, choice in execution.choices.items():
        assert isinstance(choice, GraphChoice) == cudnn.supports(convolution)
    return execution


@needs_compiler
@needs_frontend
@given(convolutions(), st.sampled_from(list(PRECISIONS)))
@settings(max_examples=120)
def test_convolutions_of_any_geometry(network, precision):
    check_graphs(network, precision)


@needs_compiler
@needs_frontend
@given(networks(), st.sampled_from(list(PRECISIONS)))
@settings(max_examples=60)
def test_any_network(network, precision):
    check_graphs(network, precision)


@needs_compiler
@needs_frontend
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_added_may_lie_within_a_wider_value(precision):
    convolution = "convolutional", {"filters": 24, "size": 3, "pad": 1, "activation": "leaky"}
    network = make_network(
        (8, 9, 7),
        convolution,
        convolution,
        ("route", {"layers": "0,1"}),
        convolution,
        ("shortcut", {"from": 0, "activation": "leaky"}),
    )
    execution = check_graphs(network, precision)
    (added,) = (convolution for convolution in execution.choices if convolution.residual_stride)
    assert (added.residual_stride, added.target_stride, added.final_activation) == (48, 24, "leaky")


@needs_frontend
@pytest.mark.slow
@pytest.mark.skipif(
    not Path(sysconfig.get_path("purelib"), "nvidia", "cudnn").is_dir(), reason="nvidia-cudnn-cu12 is not installed"
)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_cudnn_plans_every_convolution_of_the_networks(precision, tmp_path):
    names = ["tiny", "alexnet", "darknet19", "resnet50", "resnext50", "densenet201"]
    command = [sys.executable, ROOT / "tests" / "cudnn_plans.py", tmp_path, precision, *names]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for line in ran.stdout.splitlines():
        name, graphs, planned, compiled = json.loads(line)
        assert graphs == planned > 0, name
        assert compiled > 0, name
    assert len(ran.stdout.splitlines()) == len(names)


class Library:
    """What `Cudnn` asks of the frontend, with plans of these names that need some workspace."""

    __version__ = "1"

    def __init__(self, names, workspace=0):
        self.cudnnGraphNotSupportedError = ArithmeticError
        self.names, self.size = names, workspace
        self.data_type = SimpleNamespace(HALF="half", FLOAT="float")
        self.heur_mode = SimpleNamespace(A="A")
        self.compiled = []

    def backend_version(self):
        return 1

    def pygraph(self, **options):
        return Graph(self)


class Graph:
    """Takes any operation."""

    def __init__(self, library):
        self.library = library
        self.deserialized = None

    def __getattr__(self, name):
        return lambda *arguments, **options: self

    def get_execution_plan_count(self):
        return len(self.library.names)

    def get_plan_name_at_index(self, index):
        return self.library.names[index]

    def build_plan_at_index(self, index):
        if self.library.names[index].startswith("bad"):
            raise ArithmeticError("not supported")
        self.library.compiled.append(self.library.names[index])

    def serialize(self):
        return list(self.library.compiled[-1].encode())

    def deserialize(self, data):
        self.deserialized = bytes(data).decode()

    def get_workspace_size(self):
        return self.library.size


CONVOLUTION = Convolution("float16", 1, 14, 14, 14, 14, 3, 3, 1, 1, Groups(1, 128, 256), 128, 256)
NAMES = ["eng4_a", "eng4_b", "eng4_c", "eng4_d", "bad7_a", "eng9", "eng2_a", "eng2_b"]


def test_the_first_plans_of_several_engines_are_considered():
    choices = Cudnn(Library(NAMES), "a GPU").candidates(CONVOLUTION)
    names = ["eng4_a", "eng4_b", "eng4_c", "bad7_a", "eng9", "eng2_a"]
    assert [choice.name for choice in choices] == [f"cudnn:{name}" for name in names]


def test_plans_are_compiled_once_and_kept(cache):
    library, choice = Library(NAMES), GraphChoice(None, "cudnn:eng4_c")
    assert Cudnn(library, "kept").plan(CONVOLUTION, choice).graph.deserialized == "eng4_c"
    assert Cudnn(library, "kept").plan(CONVOLUTION, choice).graph.deserialized == "eng4_c"
    assert library.compiled == ["eng4_c"]
    (path,) = (cache / "cuda").glob("*.plan")
    path.write_bytes(path.read_bytes()[:-1])
    Cudnn(library, "kept").plan(CONVOLUTION, choice)
    assert len(library.compiled) == 2, "a damaged file is compiled anew"
    Cudnn(library, "another").plan(CONVOLUTION, choice)
    assert len(library.compiled) == 3


def test_plans_that_were_not_chosen_are_let_go_of():
    cudnn, other = Cudnn(Library(NAMES), "a GPU"), replace(CONVOLUTION, step=2)
    for convolution, name in ((CONVOLUTION, "eng4_a"), (CONVOLUTION, "eng4_b"), (other, "eng4_a")):
        cudnn.plan(convolution, GraphChoice(cudnn, f"cudnn:{name}"))
    cudnn.settle(CONVOLUTION, "cudnn:eng4_b")
    assert list(cudnn.plans) == [(CONVOLUTION, "cudnn:eng4_b"), (other, "cudnn:eng4_a")]


@pytest.mark.parametrize(
    ("library", "name"),
    [(Library(NAMES), "cudnn:eng5"), (Library(NAMES), "cudnn:bad7_a"), (Library(["eng1"], 1 << 30), "cudnn:eng1")],
)
def test_what_cudnn_cannot_do_is_no_choice(library, name):
    cudnn = Cudnn(library, "a GPU")
    assert cudnn.named(CONVOLUTION, name) is None
    with pytest.raises(UnsupportedError, match=r"not supported|no plan|workspace of 1024 MiB"):
        cudnn.plan(CONVOLUTION, GraphChoice(cudnn, name))


def refuse():
    raise RuntimeError("not here\nbut there")


def test_without_cudnn_or_its_frontend_there_is_none(monkeypatch):
    for frontend in (None, SimpleNamespace(backend_version=refuse)):
        monkeypatch.setitem(sys.modules, "cudnn", frontend)
        assert open_cudnn("a GPU") is None


def test_cudnn_that_does_not_work_is_warned_of(monkeypatch):
    frontend = SimpleNamespace(backend_version=lambda: 1, create_handle=refuse)
    monkeypatch.setitem(sys.modules, "cudnn", frontend)
    with pytest.warns(DarknetWarning, match=r"^cuDNN does not work and is left out: not here$"):
        assert open_cudnn("a GPU") is None
