"""Networks that several threads run, each on a fork."""

from __future__ import annotations

import threading

import numpy as np
from conftest import ROOT

import darknet_py
from darknet_py import running
from darknet_py.per_thread import Forks


def test_inputs_that_are_large_for_the_network_take_turns_on_it(monkeypatch):
    network = darknet_py.load_network(ROOT / "cfg" / "shapes.cfg", ROOT / "data" / "shapes.weights", "cpu")
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
