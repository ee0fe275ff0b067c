"""Choices are measured once and remembered."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from host_gpu import HostGpu, HostQueue, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.algorithms import Machine, candidates
from darknet_py.engines.cuda.algorithms.cudnn_graph import UNPROPOSED
from darknet_py.engines.cuda.convolution import Convolution
from darknet_py.engines.cuda.cudnn import UnsupportedError
from darknet_py.engines.cuda.packing import Groups
from darknet_py.engines.cuda.tune import MEASURED, REPEATED, TIMES, Tuner, _find_fastest

FEW, _ = UNPROPOSED["float16"]
CONVOLUTION = Convolution("float16", 1, 14, 14, 14, 14, 3, 3, 1, 1, Groups(1, 128, 256), 128, 256)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    return tmp_path


def test_the_fastest_is_remembered():
    tuner = Tuner("a GPU")
    assert tuner.known(CONVOLUTION) is None
    for name in ("first", "measured anew"):
        tuner.remember(CONVOLUTION, name)
        assert tuner.known(CONVOLUTION) == name
        tuner.save()
        assert Tuner("a GPU").known(CONVOLUTION) == name
    assert Tuner("another").known(CONVOLUTION) is None
    assert tuner.known(replace(CONVOLUTION, pictures=2)) is None


class Library:
    """A stand-in for cuDNN with some plans."""

    def __init__(self, *names):
        self.proposed = [f"cudnn:{name}" for name in names]

    def names(self, problem):
        return self.proposed

    def plan(self, problem, name):
        if name not in [*self.names(problem), *FEW]:
            raise UnsupportedError("no such plan")


@pytest.mark.parametrize("library", [None, Library("eng9", "eng8")], ids=["alone", "with cuDNN"])
def test_the_best_by_the_model_are_measured_and_all_that_have_none(library):
    machine, tuner = Machine((9, 0), 132, 227 << 10, library), Tuner("a GPU")
    able = candidates(CONVOLUTION, machine)
    plans = [choice for choice in able if not choice.certain]
    assert tuner.consider(CONVOLUTION, machine) == able[:MEASURED] + plans
    assert len(plans) == (2 + len(FEW) if library else 0)
    for choice in able:
        tuner.remember(CONVOLUTION, choice.name)
        assert tuner.consider(CONVOLUTION, machine) == [choice]
    tuner.remember(CONVOLUTION, "cudnn:eng5")
    assert tuner.consider(CONVOLUTION, machine) == able[:MEASURED] + plans, "what is no longer there is measured anew"


def test_an_engine_that_is_slow_everywhere_is_measured_where_no_other_is_proposed():
    def plans(capability, *names):
        able = candidates(CONVOLUTION, Machine(capability, 132, 227 << 10, Library(*names)))
        return [choice.name.removeprefix("cudnn:") for choice in able if not choice.certain]

    asked = [name.removeprefix("cudnn:") for name in FEW]
    assert plans((9, 0), "eng7_k24=1", "eng4_k24=1") == ["eng7_k24=1", *asked]
    assert plans((9, 0), "eng4_k24=1") == ["eng4_k24=1", *asked]
    assert plans((8, 0), "eng7_k24=1", "eng4_k24=1") == ["eng7_k24=1", "eng4_k24=1"]


def test_what_is_slow_alone_is_measured_no_further():
    took = {"slow": 21.0, "luckier at first": 10.0, "fastest": 11.0}
    runs = Counter()

    class Queue:
        def record(self, launches):
            return launches

        def measure(self, recording, times):
            choice = recording[0]
            runs[choice] += len(recording) * times
            return took[choice] if len(recording) == 1 else {"fastest": 9.0}.get(choice, 10.0) * len(recording)

    assert _find_fastest(Queue(), {choice: [choice] for choice in took}) == "fastest"
    assert runs == {choice: TIMES * (1 + REPEATED * (choice != "slow")) for choice in took}


def test_networks_do_not_measure_beside_each_other():
    assert Tuner("a GPU").lock is Tuner("another").lock


def test_what_others_saved_meanwhile_is_kept():
    one, other = Tuner("a GPU"), Tuner("a GPU")
    one.remember(CONVOLUTION, "one")
    other.remember(replace(CONVOLUTION, stride=2), "another")
    one.save()
    other.save()
    assert len(json.loads(one.path.read_text())) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": "y"}', b"\xff"])
def test_a_damaged_file_is_as_none(content):
    path = Tuner("a GPU").path
    path.parent.mkdir()
    path.write_bytes(content)
    tuner = Tuner("a GPU")
    assert tuner.known(CONVOLUTION) is None
    tuner.remember(CONVOLUTION, "the fastest")
    tuner.save()
    assert Tuner("a GPU").known(CONVOLUTION) == "the fastest"


def test_a_cache_that_cannot_be_written_is_done_without(cache):
    (cache / "cuda").touch()
    tuner = Tuner("a GPU")
    tuner.remember(CONVOLUTION, "the fastest")
    tuner.save()


@needs_compiler
def test_an_engine_measures_at_its_own_size_and_answers_the_same():
    network = make_network((8, 12, 12), ("convolutional", {"filters": 64, "size": 3, "pad": 1, "activation": "leaky"}))
    parameters, batch = random_parameters(network.layers), random_array((2, 8, 12, 12))
    tuner = Tuner("host")
    engine = CudaEngine(network.layers, parameters, HostGpu(), "float32", tuner)
    answers = engine.plan(network.layers).run(batch)
    assert_close(answers, run_engine("reference", network.layers, parameters, batch), 5e-5)
    known = json.loads(tuner.path.read_text())
    assert len(known) == 1
    larger = network.layers_at(16, 20)
    engine.plan(larger).run(random_array((1, 8, 16, 20)))
    assert json.loads(tuner.path.read_text()) == known


@needs_compiler
def test_all_kernels_are_compiled_before_the_first_is_measured(monkeypatch):
    compiled, measured = set(), []

    def compile_together(queue, launches, told=iter):
        assert not measured
        compiled.update(launch.kernel for launch in launches)

    def measure(queue, recording, times):
        measured.extend(launch.kernel for launch in recording)
        return 1.0

    monkeypatch.setattr(HostQueue, "compile", compile_together)
    monkeypatch.setattr(HostQueue, "measure", measure)
    network = make_network((32, 6, 6), *[("convolutional", {"filters": 32, "size": size, "pad": 1}) for size in (1, 3)])
    engine = CudaEngine(network.layers, random_parameters(network.layers), HostGpu(), "float32", Tuner("host"))
    engine.plan(network.layers).execution(1)
    assert compiled == {*measured} != set()


@needs_compiler
def test_what_occurs_again_is_measured_once(monkeypatch):
    measured = []
    measure = HostQueue.measure

    def count(queue, recording, times):
        if len(recording) == 1:
            measured.append(recording)
        return measure(queue, recording, times)

    monkeypatch.setattr(HostQueue, "measure", count)
    convolution = "convolutional", {"filters": 32, "size": 3, "pad": 1, "activation": "leaky"}
    network = make_network((32, 6, 6), convolution, convolution, convolution)
    for expected in (MEASURED, 0):
        measured.clear()
        engine = CudaEngine(network.layers, random_parameters(network.layers), HostGpu(), "float32", Tuner("host"))
        engine.plan(network.layers).execution(1)
        assert len(measured) == expected
