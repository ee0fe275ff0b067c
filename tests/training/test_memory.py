"""Memory is told before it is taken, with what to do where there is too little."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from darknet_py.errors import UsageError
from darknet_py.limits import Limit
from darknet_py.network import load_structure
from darknet_py.training import memory as module
from darknet_py.training.memory import check_memory, training_memory
from darknet_py.training.options import TrainingOptions

NETWORK = load_structure("cfg/tiny.cfg")
OPTIONS = TrainingOptions.of(NETWORK, batch=48, subdivisions=2)


@pytest.fixture
def room(monkeypatch):
    """Let there be so much memory, of which some is used."""

    def room(size):
        monkeypatch.setattr(module, "memory_limits", lambda: [Limit("this machine's", size + 1000, 1000)])

    return room


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_what_fits_is_trained_and_what_does_not_names_the_subdivisions_that_do(room, engine):
    def needed(images):
        return training_memory(NETWORK.layers, images, engine, adam=False)

    room(needed(24))
    check_memory(NETWORK.layers, OPTIONS, engine, "x.cfg")
    room(needed(24) - 1)
    message = r"x\.cfg: [\d.]+ [GM]iB to train on 24 images at a time, more than this machine's [\d.]+ [GM]iB; "
    for size, subdivisions in ((needed(24) - 1, 3), (needed(16) - 1, 4), (needed(5), 12), (needed(1), 48)):
        room(size)
        with pytest.raises(UsageError) as error:
            check_memory(NETWORK.layers, OPTIONS, engine, "x.cfg")
        assert re.fullmatch(message + f"take --subdivisions {subdivisions}", str(error.value))
        check_memory(NETWORK.layers, replace(OPTIONS, subdivisions=subdivisions), engine, "x.cfg")
    room(needed(1) - 1)
    with pytest.raises(UsageError, match=message + "the network is too large for it"):
        check_memory(NETWORK.layers, OPTIONS, engine, "x.cfg")


def test_adam_takes_more():
    sizes = [training_memory(NETWORK.layers, 1, "cpu", adam) for adam in (False, True)]
    assert sizes[1] - sizes[0] == pytest.approx(1.2 * 8 * NETWORK.parameter_count, rel=1e-6)
