"""cuDNN's plans, with a stub for it: which are considered, compiled, kept, refused; and where there is no cuDNN."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from darknet_py.engines.cuda import cudnn as module
from darknet_py.engines.cuda.algorithms import Machine
from darknet_py.engines.cuda.algorithms.cudnn_graph import CudnnGraph, PlannedGraph
from darknet_py.engines.cuda.convolution import Convolution, Operands
from darknet_py.engines.cuda.cudnn import (
    BIASES,
    MAX_WORKSPACE,
    SOURCE,
    TARGET,
    WEIGHTS,
    Cudnn,
    UnsupportedError,
    open_cudnn,
)
from darknet_py.engines.cuda.packing import Groups
from darknet_py.errors import DarknetWarning


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    return tmp_path


GRAPH = CudnnGraph()


class Library:
    """What `Cudnn` needs of the frontend, with plans of these names that need some workspace."""

    __version__ = "1"

    def __init__(self, names, workspace=0):
        self.cudnnGraphNotSupportedError = ArithmeticError
        self.names, self.size = names, workspace
        self.data_type = SimpleNamespace(HALF="half", FLOAT="float")
        self.heur_mode = SimpleNamespace(A="A")
        self.knob_type = SimpleNamespace(KERNEL_CFG="k24")
        self.compiled = []
        self.handles = []

    def create_handle(self):
        self.handles.append(f"handle {len(self.handles)}")
        return self.handles[-1]

    def set_stream(self, handle, stream):
        assert stream

    def backend_version(self):
        return 1

    def pygraph(self, **options):
        return Graph(self)


class Graph:
    """Takes any operation."""

    def __init__(self, library):
        self.frontend = library
        self.names = [*library.names]
        self.deserialized = None

    def __getattr__(self, name):
        return lambda *arguments, **options: self

    def execute(self, tensors, workspace, handle):
        raise RuntimeError("a kernel cannot be loaded")

    def get_execution_plan_count(self):
        return len(self.names)

    def get_plan_name_at_index(self, index):
        return self.names[index]

    def create_execution_plan(self, engine, knobs):
        self.names += [f"eng{engine}_{knob}={value}" for knob, value in knobs.items()]

    def build_plan_at_index(self, index):
        if self.names[index].startswith("bad"):
            raise ArithmeticError("not supported")
        self.frontend.compiled.append(self.names[index])

    def serialize(self):
        return list(self.frontend.compiled[-1].encode())

    def deserialize(self, data):
        self.deserialized = bytes(data).decode()

    def get_workspace_size(self):
        return self.frontend.size


CONVOLUTION = Convolution("float16", 1, 14, 14, 14, 14, 3, 3, 1, 1, Groups(1, 128, 256), 128, 256)
NAMES = ["eng4_a", "eng4_b", "eng4_c", "eng4_d", "bad7_a", "eng9", "eng2_a", "eng2_b"]


def test_the_first_plans_of_several_engines_are_considered():
    names = ["eng4_a", "eng4_b", "bad7_a", "eng9"]
    assert Cudnn(Library(NAMES), "a GPU", nullcontext).names(CONVOLUTION) == [f"cudnn:{name}" for name in names]


def test_a_graph_that_cudnn_refuses_has_no_plans(monkeypatch):
    monkeypatch.setattr(Graph, "validate", refuse, raising=False)
    assert Cudnn(Library(NAMES), "a GPU", nullcontext).names(CONVOLUTION) == []


def test_an_execution_that_fails_is_told_apart():
    cudnn = Cudnn(Library(NAMES), "a GPU", nullcontext)
    (launch,) = PlannedGraph(GRAPH, cudnn, "cudnn:eng9").lower(CONVOLUTION, Operands(1, 2, 0, 3, 4, 5, 6))
    assert launch.tensors == {SOURCE: 1, WEIGHTS: 3, BIASES: 4, TARGET: 2}
    with pytest.raises(UnsupportedError, match=r"cuDNN declines: a kernel cannot be loaded"):
        cudnn.execute(launch, "a handle")


def test_a_plans_workspace_is_known_once_it_is_compiled():
    cudnn = Cudnn(Library(NAMES, 4096), "a GPU", nullcontext)
    planned = PlannedGraph(GRAPH, cudnn, "cudnn:eng9")
    assert planned.workspace(CONVOLUTION) == MAX_WORKSPACE
    cudnn.plan(CONVOLUTION, planned.name)
    assert planned.workspace(CONVOLUTION) == 4096


class Owner:
    """Of a handle."""


def test_handles_are_used_again():
    library = Library(NAMES)
    cudnn = Cudnn(library, "a GPU", nullcontext)
    owners = [Owner(), Owner()]
    assert [cudnn.open_handle(owner, 1) for owner in owners] == ["handle 0", "handle 1"]
    del owners[0]
    third = Owner()
    assert cudnn.open_handle(third, 2) == "handle 0"
    assert len(library.handles) == 2


def test_plans_are_compiled_once_and_kept(cache):
    library, name = Library(NAMES), "cudnn:eng4_c"
    assert Cudnn(library, "kept", nullcontext).plan(CONVOLUTION, name).graph.deserialized == "eng4_c"
    assert Cudnn(library, "kept", nullcontext).plan(CONVOLUTION, name).graph.deserialized == "eng4_c"
    assert library.compiled == ["eng4_c"]
    (path,) = (cache / "cuda").glob("*.plan")
    path.write_bytes(path.read_bytes()[:-1])
    Cudnn(library, "kept", nullcontext).plan(CONVOLUTION, name)
    assert len(library.compiled) == 2, "a damaged file is compiled anew"
    Cudnn(library, "another", nullcontext).plan(CONVOLUTION, name)
    assert len(library.compiled) == 3
    Cudnn(library, "kept", nullcontext).plan(replace(CONVOLUTION, stride=2), name)
    assert len(library.compiled) == 4


def test_a_plan_that_is_not_proposed_is_asked_for():
    library = Library(NAMES)
    plan = Cudnn(library, "asked", nullcontext).plan(CONVOLUTION, "cudnn:eng1_k24=17")
    assert plan.graph.deserialized == "eng1_k24=17"
    assert library.compiled == ["eng1_k24=17"]


class Beside:
    """A process that returns plans, except those that are "bad"; none at all if it is `broken`."""

    made = []
    broken = False

    def __init__(self, function, work):
        assert function is module.compile_plans
        self.properties, self.keys = work
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        pass

    def receive(self, patience):
        assert patience == module.PATIENCE * len(self.keys)
        bare = [name.split(":")[1] for _, name in self.keys]
        return None if self.broken else [None if name.startswith("bad") else name.encode() for name in bare]


@pytest.fixture
def processes(monkeypatch):
    """How they are made, on four cores with memory for two; those that were."""
    monkeypatch.setattr(module, "Aside", Beside)
    monkeypatch.setattr(module, "core_count", lambda: 4)
    monkeypatch.setattr(module, "has_memory", lambda size: size <= 2 * module.COMPILER_MEMORY)
    monkeypatch.setattr(Beside, "made", [])
    return Beside


KEYS = [(CONVOLUTION, f"cudnn:{name}") for name in NAMES[:5]]


def test_other_processes_compile_what_is_not_kept(cache, processes):
    library = Library(NAMES)
    cudnn = Cudnn(library, "beside", nullcontext, "properties")
    cudnn.plan(*KEYS[0])
    cudnn.compile_beside(KEYS)
    assert [(process.properties, process.keys) for process in processes.made] == [
        ("properties", [KEYS[1], KEYS[3]]),
        ("properties", [KEYS[2], KEYS[4]]),
    ]
    for at in (1, 2, 3):
        assert cudnn.plan(*KEYS[at]).graph.deserialized == NAMES[at]
    with pytest.raises(UnsupportedError, match="not supported"):  # as it is told when it is asked for
        cudnn.plan(*KEYS[4])
    assert library.compiled == [NAMES[0]]
    later = Cudnn(library, "beside", nullcontext, "properties")
    later.compile_beside(KEYS[:4])
    assert len(processes.made) == 2


def test_what_no_process_brings_is_compiled_here(cache, processes, monkeypatch):
    monkeypatch.setattr(processes, "broken", True)
    library = Library(NAMES)
    cudnn = Cudnn(library, "broken", nullcontext, "properties")
    cudnn.compile_beside(KEYS[:2])
    assert len(processes.made) == 2
    assert cudnn.plan(*KEYS[1]).graph.deserialized == NAMES[1]
    assert library.compiled == [NAMES[1]]


def test_a_gpu_that_cudnn_does_not_describe_has_no_such_processes(processes):
    Cudnn(Library(NAMES), "untold", nullcontext).compile_beside(KEYS)
    assert not processes.made


def test_cudnn_is_asked_only_while_its_gpu_is_current():
    current = []

    @contextmanager
    def make_current():
        current.append(True)
        yield
        current.pop()

    class OneGpu(Library):
        def pygraph(self, **options):
            assert current
            return super().pygraph(**options)

        def create_handle(self):
            assert current
            return super().create_handle()

    cudnn, owner = Cudnn(OneGpu(NAMES), "a GPU", make_current), Owner()
    assert cudnn.names(CONVOLUTION)
    assert cudnn.plan(CONVOLUTION, "cudnn:eng9")
    assert cudnn.open_handle(owner, 1)


def test_plans_that_were_refused_are_let_go_of(cache):
    cudnn, other = Cudnn(Library(NAMES), "a GPU", nullcontext), replace(CONVOLUTION, stride=2)
    for convolution, name in ((CONVOLUTION, "eng4_a"), (CONVOLUTION, "eng4_b"), (other, "eng4_a")):
        cudnn.plan(convolution, f"cudnn:{name}")
    cudnn.settle(CONVOLUTION, ["implicit_gemm", "cudnn:eng4_a"])
    assert list(cudnn.plans) == [(CONVOLUTION, "cudnn:eng4_b"), (other, "cudnn:eng4_a")]
    assert len([*(cache / "cuda").iterdir()]) == 2


@pytest.mark.parametrize(
    ("library", "name"),
    [(Library(NAMES), "cudnn:eng5"), (Library(NAMES), "cudnn:bad7_a"), (Library(["eng1"], 1 << 30), "cudnn:eng1")],
)
def test_what_cudnn_cannot_do_is_no_choice(library, name):
    cudnn = Cudnn(library, "a GPU", nullcontext)
    assert GRAPH.find(name, CONVOLUTION, Machine((9, 0), 132, 227 << 10, cudnn)) is None
    with pytest.raises(UnsupportedError, match=r"not supported|no plan|workspace of 1024 MiB"):
        cudnn.plan(CONVOLUTION, name)


def refuse(*arguments):
    raise RuntimeError("not here\nbut there")


@pytest.mark.parametrize("frontend", [None, SimpleNamespace(backend_version=refuse)])
def test_without_cudnn_or_its_frontend_there_is_none(frontend, monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", frontend)
    assert open_cudnn("a GPU", 0, nullcontext) is None


@pytest.mark.parametrize(
    ("frontend", "reason"),
    [
        (SimpleNamespace(backend_version=lambda: 1, create_handle=refuse, __version__="1.28.0"), "not here"),
        (
            SimpleNamespace(backend_version=lambda: 1, __version__="1.9.0"),
            r"its frontend is 1\.9\.0; .* pip install .*",
        ),
    ],
)
def test_cudnn_that_does_not_work_is_warned_of(frontend, reason, monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", frontend)
    with pytest.warns(DarknetWarning, match=rf"^cuDNN is left out: {reason}$"):
        assert open_cudnn("a GPU", 0, nullcontext) is None
