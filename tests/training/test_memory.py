"""The memory needed is found out before it is taken; where there is too little, the message says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from darknet_py.errors import UsageError
from darknet_py.limits import Limit
from darknet_py.network import load_structure
from darknet_py.training import memory as module
from darknet_py.training.memory import build_within_limits
from darknet_py.training.options import TrainingOptions

OPTIONS = TrainingOptions.of(load_structure("cfg/tiny.cfg"), batch=48, subdivisions=2)
PICTURE, REST, PARAMETERS = 1 << 20, 100, np.empty(10, np.float32)


def build(pass_size):
    """A plan that takes a fixed amount for each picture and some for itself."""
    parameters = SimpleNamespace(values=PARAMETERS)
    return SimpleNamespace(memory=PICTURE * pass_size + REST, pass_size=pass_size, parameters=parameters)


@pytest.fixture
def room(monkeypatch):
    """Set how much memory there is, and how much of it is used."""

    def room(size):
        monkeypatch.setattr(module, "memory_limits", lambda: [Limit("this machine's", size + 1000, 1000)])

    return room


def test_what_fits_is_built(room):
    room(24 * PICTURE + REST)
    assert build_within_limits(build, OPTIONS, "x.cfg").pass_size == 24


@pytest.mark.parametrize(
    ("pictures", "subdivisions"), [(23, 3), (16, 3), (15, 4), (5, 12), (4, 12), (3, 16), (1, 48), (0, None)]
)
def test_what_does_not_fit_names_the_subdivisions_that_do(room, pictures, subdivisions):
    room(pictures * PICTURE + REST)
    with pytest.raises(UsageError) as error:
        build_within_limits(build, OPTIONS, "x.cfg")
    help = f"take --subdivisions {subdivisions}" if subdivisions else "the network is too large for it"
    message = rf"x\.cfg: 24 MiB to train on 24 images at a time, more than this machine's {pictures} MiB; {help}"
    assert re.fullmatch(message, str(error.value))
    if subdivisions:
        assert build_within_limits(build, replace(OPTIONS, subdivisions=subdivisions), "x.cfg")


def test_of_the_largest_batch_it_is_found_at_once_and_with_few_plans(room):
    made = []

    def counted(pass_size):
        made.append(pass_size)
        return build(pass_size)

    room(10 * PICTURE + REST)
    with pytest.raises(UsageError, match=r"; take --subdivisions 238609294$"):  # 9 pictures each, of 2^31 - 2
        build_within_limits(counted, replace(OPTIONS, batch=2**31 - 2, subdivisions=1), "x.cfg")
    assert len(made) < 10


def test_adams_state_counts(room):
    room(24 * PICTURE + REST + 2 * PARAMETERS.nbytes)
    assert build_within_limits(build, replace(OPTIONS, adam=True), "x.cfg").pass_size == 24
    room(24 * PICTURE + REST + 2 * PARAMETERS.nbytes - 1)
    with pytest.raises(UsageError, match=r"; take --subdivisions 3$"):
        build_within_limits(build, replace(OPTIONS, adam=True), "x.cfg")


def test_a_plan_that_cannot_even_be_made_is_told_of_likewise(room):
    def build_small(pass_size):
        if pass_size > 10:
            raise MemoryError
        return build(pass_size)

    room(100 * PICTURE)
    message = r"^x\.cfg: not enough memory to train on 24 images at a time; take --subdivisions 6$"
    with pytest.raises(UsageError, match=message):
        build_within_limits(build_small, OPTIONS, "x.cfg")
