"""Checkpoints: written whole or not at all, and distinguished from damaged ones and from those of other runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from darknet_py.errors import CheckpointError
from darknet_py.training.checkpoint import State, load_checkpoint, save_checkpoint

RUN = {"cfg": "sha256 aa", "list": "5 images, bb"}
STATE = State(seed=7, iteration=3, seen=24, updates=3, loss=1 / 3, average=0.1 + 0.2, best=0.5, best_iteration=2)


def arrays(count=5):
    rng = np.random.default_rng(count)
    return {"parameters": rng.random(count, np.float32), "gradients": rng.random(count, np.float32), "m": np.empty(0)}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.checkpoint"
    save_checkpoint(path, RUN, STATE, arrays())
    return path


def load(file, run=RUN, count=5):
    found = {name: np.zeros_like(array) for name, array in arrays(count).items()}
    try:
        return load_checkpoint(file, run, found), found
    except CheckpointError:
        assert not any(array.any() for array in found.values())  # nothing of it is used
        raise


def test_what_was_written_is_read_bit_for_bit(file):
    state, found = load(file)
    assert state == STATE
    for name, array in arrays().items():
        np.testing.assert_array_equal(found[name], array)


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(file):
    save_checkpoint(file, RUN, State(seed=8), arrays())
    assert load(file)[0] == State(seed=8)
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({**RUN, "cfg": "sha256 cc"}, "cfg sha256 aa, now sha256 cc"),
        (
            {**RUN, "list": "6 images, bb", "cfg": "x" * 99},
            f"cfg sha256 aa, now {'x' * 60}...; list 5 images, bb, now 6",
        ),
        ({**RUN, "engine": "cpu"}, "engine None, now cpu"),
    ],
)
def test_another_run_is_refused_by_what_differs(file, run, reason):
    with pytest.raises(CheckpointError, match=re.escape(f"{file}: of another run: {reason}")):
        load(file, run)


def test_a_bit_that_is_another_is_found_wherever_it_is(file):
    content = file.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 4
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"damaged|not a checkpoint|version|of another run"):
            load(file)


def test_a_checkpoint_that_is_cut_short_or_longer_is_refused(file):
    content = file.read_bytes()
    for size in [*range(0, len(content), 7), len(content) - 1]:
        file.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            load(file)
    file.write_bytes(content + b"\0")
    with pytest.raises(CheckpointError, match=rf"{len(content) + 1} bytes; {len(content)} were written$"):
        load(file)


def test_another_version_is_refused_by_its_number(file):
    file.write_bytes(file.read_bytes().replace(b"checkpoint 1", b"checkpoint 2", 1))
    with pytest.raises(CheckpointError, match=r"a checkpoint of version 2; this program goes on with version 1 alone$"):
        load(file)


def test_other_layers_are_refused(file):
    with pytest.raises(CheckpointError, match=r": of a network with other layers$"):
        load(file, count=6)


@pytest.mark.parametrize(("make", "reason"), [(os.mkdir, "is a folder"), (os.mkfifo, "is a device"), (None, "no such")])
def test_what_is_no_file_is_refused(tmp_path, make, reason):
    if make:
        make(tmp_path / "x")
    with pytest.raises(CheckpointError, match=reason):
        load(tmp_path / "x")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_where_there_is_no_room_the_old_one_stays(file):
    # A limit on the size of files stands for a full disk.
    code = (
        "import resource, signal, sys; import numpy as np\n"
        "from darknet_py.errors import CheckpointError\n"
        "from darknet_py.training.checkpoint import State, save_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "try: save_checkpoint(sys.argv[1], {}, State(1), {'parameters': np.zeros(100000, np.float32)})\n"
        "except CheckpointError as error: print(error)\n"
    )
    before = file.read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", code, file], env=environment, check=True, capture_output=True, text=True
    )
    assert ran.stdout == f"{file}: file too large\n"
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"none/x: no such file or directory$"):
        save_checkpoint(tmp_path / "none" / "x", RUN, STATE, arrays())
