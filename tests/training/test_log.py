"""The log: a complete record for each iteration and validation, and each only once, whatever ends a run."""

from __future__ import annotations

import csv
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

from darknet_py.errors import TrainingError
from darknet_py.parameters import Parameters
from darknet_py.training.checkpoint import State
from darknet_py.training.history import History
from darknet_py.training.log import COLUMNS, Log, figures
from darknet_py.training.trainer import TrainingProgress


def progress(iteration, validation=None):
    return TrainingProgress(
        done=8 * iteration, total=80, fresh=8, seconds=1.0, iteration=iteration, epoch=iteration / 3,
        loss=1 / iteration, average=2.0, rate=0.1, waiting=0.25, working=0.5, validation=validation,
        remark="", best=0.75, best_iteration=1, history=History(), parameters=Parameters((), np.empty(0, np.float32)),
    )  # fmt: skip


def validated(iteration, complete=True):
    totals = SimpleNamespace(accuracy=0.5, accuracy_top=0.75)
    return progress(iteration, SimpleNamespace(complete=complete, totals=totals))


def write(path, *told, resumed=None):
    with Log(path, resumed) as log:
        for one in told:
            log.add(one)


def read(path):
    if path.suffix.lower() == ".csv":
        with path.open() as stream:
            return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(params=["x.jsonl", "x.csv", "x.CSV"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_iterations_and_complete_validations_are_written(path):
    write(path, progress(1), progress(3), validated(3, complete=False), validated(3))
    assert read(path) == [figures(progress(1)), figures(progress(3)), figures(validated(3))]
    assert figures(validated(3, complete=False)) is None
    assert {key for row in read(path) for key in row} == set(COLUMNS)


def at(iteration, validated=None):
    """The state of a checkpoint."""
    return State(seed=0, iteration=iteration, validated=iteration if validated is None else validated)


def test_a_run_that_goes_on_drops_what_comes_after_its_checkpoint(path):
    write(path, progress(1), progress(2), validated(2), progress(3), progress(4))
    write(path, progress(3), progress(4), resumed=at(2))
    assert [row["iteration"] for row in read(path)] == [1, 2, 2, 3, 4]


def test_a_validation_that_will_be_made_again_is_dropped(path):
    write(path, progress(1), validated(1), progress(2), validated(2))
    write(path, validated(2), resumed=at(2, validated=1))
    assert read(path) == [figures(one) for one in (progress(1), validated(1), progress(2), validated(2))]


def test_a_line_that_was_cut_off_is_dropped(path):
    write(path, progress(1), progress(2))
    path.write_bytes(path.read_bytes()[:-3])
    write(path, progress(2), resumed=at(2))
    assert read(path) == [figures(progress(1)), figures(progress(2))]


def test_a_run_that_begins_begins_the_file(path):
    write(path, progress(1))
    write(path, progress(2))
    assert read(path) == [figures(progress(2))]
    write(path.with_stem("new"), progress(3), resumed=at(2))
    assert read(path.with_stem("new")) == [figures(progress(3))]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"iteration": Infinity}', '{"iteration": null}', "[1]", "\ufeff{}"])
def test_lines_of_something_else_are_dropped(tmp_path, line):
    path = tmp_path / "x.jsonl"
    write(path, progress(1))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")
    write(path, resumed=at(2))
    assert read(path) == [figures(progress(1))]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_disk_that_is_full_is_told_with_the_file(path):
    def fill():
        with Log(path) as log, open("/dev/full", "w") as full:
            os.dup2(full.fileno(), log._stream.fileno())
            log.add(progress(1))

    with pytest.raises(TrainingError, match=rf"^{path}: no space left on device$"):
        fill()


def test_what_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match=r"none/x\.csv: no such file or directory$"):
        Log(tmp_path / "none" / "x.csv")
    os.mkdir(tmp_path / "x.csv")
    with pytest.raises(TrainingError, match=r"x\.csv: is a directory"):
        Log(tmp_path / "x.csv", at(1))
