"""Many pictures, of which each core takes some: the same answers as one by one."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import darknet_py
from darknet_py import ImageError, per_thread, running
from darknet_py.per_thread import APART, Forks

CORES = 3
MANY = APART * CORES
STAR = ROOT / "data" / "star.png"


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    monkeypatch.setattr(per_thread, "core_count", lambda: CORES)


@pytest.fixture
def network():
    return darknet_py.load_network(ROOT / "cfg" / "shapes.cfg", ROOT / "data" / "shapes.weights", "cpu")


@pytest.fixture
def forked(monkeypatch):
    """The threads that each fork was made with."""
    forked, fork = [], darknet_py.Classifier.fork

    def note(self, threads):
        forked.append(threads)
        return fork(self, threads)

    monkeypatch.setattr(darknet_py.Classifier, "fork", note)
    return forked


def draw(count):
    """Pictures of several sizes."""
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 256, (40 + number % 3 * 20, 50, 3), np.uint8) for number in range(count)]


@pytest.mark.parametrize(("count", "forks"), [(MANY - 1, False), (MANY, True), (3 * MANY + 1, True)])
def test_many_are_answered_as_each_of_them_alone(network, forked, count, forks):
    pictures = draw(count)
    answers = network.classify(picture for picture in pictures)
    assert forked == ([1] * len(forked) if forks else [])
    assert bool(forked) == forks
    assert answers == [network.classify(picture) for picture in pictures]


def test_of_all_kinds_too_and_one_that_comes_twice(network, forked):
    shown = Image.open(io.BytesIO(STAR.read_bytes()))  # loaded when it is looked at first
    kinds = [shown, STAR, str(STAR), STAR.read_bytes(), np.asarray(Image.open(STAR).convert("RGB"))]
    answers = network.classify([kinds[number % 5] for number in range(2 * MANY)])
    assert forked
    assert answers == [network.classify(STAR)] * (2 * MANY)


def test_of_several_that_are_wrong_the_first_is_told(network, forked):
    images = [*draw(2 * MANY), b"nothing", None]
    images[MANY - 1 : MANY + 1] = [b"x", b"y"]
    with pytest.raises(ImageError, match=f"^image {MANY - 1}: "):
        network.classify(images)
    assert forked
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("work")]


@pytest.mark.parametrize("pool", [True, False])
def test_features_of_many_are_those_of_each_alone(network, forked, pool):
    pictures = draw(MANY)
    rows = network.features(pictures, 3, pool=pool, preprocess="letterbox")
    assert forked
    for picture, row in zip(pictures, rows, strict=True):
        np.testing.assert_array_equal(row, network.features(picture, 3, pool=pool, preprocess="letterbox"))


@pytest.mark.parametrize(("room", "threads"), [(1, []), (2, [1, 1])])
def test_as_many_forks_as_memory_has_room_for(network, forked, monkeypatch, room, threads):
    monkeypatch.setattr(darknet_py.Classifier, "count_forks", lambda self, most: room)
    pictures = draw(MANY)
    assert len(network.classify(pictures)) == MANY
    assert forked in (threads, threads[:1])  # one thread may have done it all


def test_a_network_of_one_thread_keeps_to_it(forked):
    network = darknet_py.load_network("shapes", engine="cpu", threads=1)
    assert len(network.classify(draw(MANY))) == MANY
    assert not forked


def test_inputs_that_are_large_for_the_network_take_turns_on_it(network, monkeypatch):
    ran, predict = [], darknet_py.Classifier.predict

    def note(self, batch):
        ran.append(self)
        return predict(self, batch)

    monkeypatch.setattr(darknet_py.Classifier, "predict", note)
    forks = Forks(network, 1)
    channels, height, width = network.input_shape
    for times, own in ((running.FORKED, True), (running.FORKED + 1, False)):
        batch = np.random.default_rng(0).random((2, channels, height, times * width), np.float32)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(forks.probabilities(batch)))  # noqa: B023
        thread.start()
        thread.join()
        assert (ran.pop() is network) is not own
        np.testing.assert_array_equal(answers[0], network.probabilities(batch))
        ran.clear()
