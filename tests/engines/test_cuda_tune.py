"""Choices are measured once and remembered."""

from __future__ import annotations

import json

import pytest
from host_gpu import HostGpu, needs_compiler
from support import assert_close, make_network, random_array, random_parameters, run_engine

from darknet_py.engines.cuda import CudaEngine
from darknet_py.engines.cuda.select import Product, candidates
from darknet_py.engines.cuda.tune import MEASURED, Tuner

PRODUCT = Product(196, 256, 36, 1, "float16", 8)
CHOICES = candidates(PRODUCT, (9, 0), 132, 227 << 10)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    return tmp_path


def choose(tuner, seconds):
    """What `tuner` chooses where each choice takes what `seconds` says; and what it measured."""
    measured = []

    def measure(product, choice):
        measured.append(choice)
        return seconds(choice)

    return tuner.choose(PRODUCT, CHOICES, measure), measured


def test_the_fastest_of_the_first_few_is_taken_and_remembered():
    tuner = Tuner("a GPU")
    best, measured = choose(tuner, lambda choice: choice != CHOICES[3])
    assert best == CHOICES[3]
    assert measured == CHOICES[:MEASURED]
    assert choose(tuner, lambda choice: 0) == (best, [])
    tuner.save()
    assert choose(Tuner("a GPU"), lambda choice: 0) == (best, [])
    assert choose(Tuner("another"), lambda choice: choice != CHOICES[1])[0] == CHOICES[1]


def test_blocks_share_tiles_only_where_there_are_few():
    assert max(choice.splits for choice in CHOICES) > 1
    many = Product(128 * 224 * 224, 64, 18, 1, "float16", 8)
    assert {choice.splits for choice in candidates(many, (9, 0), 132, 227 << 10)} == {1}
    assert all(choice.workspace(PRODUCT) <= 4 * 8 * 132 * 256 * 128 for choice in CHOICES if choice.splits > 1)


def test_what_others_saved_meanwhile_is_kept():
    one, other = Tuner("a GPU"), Tuner("a GPU")
    choose(one, lambda choice: 0)
    other.choose(Product(1, 8, 1, 1, "tf32", 4), CHOICES, lambda product, choice: 0)
    one.save()
    other.save()
    assert len(json.loads(one.path.read_text())) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": "y"}', b"\xff"])
def test_a_damaged_file_is_as_none(content):
    path = Tuner("a GPU").path
    path.parent.mkdir()
    path.write_bytes(content)
    tuner = Tuner("a GPU")
    assert choose(tuner, lambda choice: choice != CHOICES[2])[0] == CHOICES[2]
    tuner.save()
    assert choose(Tuner("a GPU"), lambda choice: 0)[0] == CHOICES[2]


def test_a_cache_that_cannot_be_written_is_done_without(cache):
    (cache / "cuda").touch()
    tuner = Tuner("a GPU")
    choose(tuner, lambda choice: 0)
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
