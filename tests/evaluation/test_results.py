"""Records for other programs."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.errors import DatasetError
from darknet_py.evaluation.outcome import Outcome
from darknet_py.evaluation.results import save_results

DATASET = Dataset("x.data", 3, ["tabby", "tiger, cat", 'a "dog"'], ["n01", "n02", "n03"], 2)
SAMPLES = [
    Sample("n02.png", 1),
    Sample("none.png", 0),
    Sample('a,b "c"\n\udcff.png', -1, "no label is a word of its name or folder"),
    Sample("short.png", 2),
]
OUTCOMES = [
    Outcome(0, [(1, 0.75), (2, 0.2), (0, 0.05)]),
    Outcome(1, error="no such file"),
    Outcome(2, [(2, 1e-10), (0, 0.0), (1, 0.0)]),
    Outcome(3, [(2, 0.9)]),
]


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Save records as a file of this name."""
    monkeypatch.chdir(tmp_path)

    def save(name, outcomes=OUTCOMES, top=2):
        save_results(name, top, DATASET, SAMPLES, iter(outcomes))
        return Path(name)

    return save


def named(index):
    return {"index": index, "wnid": DATASET.wnids[index], "label": DATASET.names[index]}


def test_json_lines_hold_a_record_for_each_image(save):
    first, unreadable, doubtful, short = map(json.loads, save("x.jsonl").read_text().splitlines())
    assert first == {
        "index": 0,
        "file": "n02.png",
        "truth": named(1),
        "predictions": [named(1) | {"probability": 0.75}, named(2) | {"probability": 0.2}],
    }
    assert unreadable == {
        "index": 1,
        "file": "none.png",
        "truth": named(0),
        "predictions": [],
        "excluded": "no such file",
    }
    assert (doubtful["file"], doubtful["truth"], doubtful["excluded"]) == (SAMPLES[2].file, None, SAMPLES[2].doubt)
    assert [guess["probability"] for guess in doubtful["predictions"]] == [1e-10, 0]
    assert [guess["index"] for guess in short["predictions"]] == [2]


def test_csv_holds_a_row_for_each_image_under_a_header(save):
    with save("x.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["index", "file", "truth", "excluded", "class1", "p1", "class2", "p2"]
    assert rows == [
        ["0", "n02.png", "1", "", "1", "0.75", "2", "0.2"],
        ["1", "none.png", "0", "no such file", "", "", "", ""],
        ["2", SAMPLES[2].file, "", SAMPLES[2].doubt, "2", "1e-10", "0", "0.0"],
        ["3", "short.png", "2", "", "2", "0.9", "", ""],
    ]


def test_what_was_there_is_replaced_and_nothing_else_is_left(save, tmp_path):
    Path("x.jsonl").write_text("before")
    assert "before" not in save("x.jsonl").read_text()
    assert os.listdir(tmp_path) == ["x.jsonl"]


def test_a_failure_in_the_middle_leaves_what_was_there(save, tmp_path):
    def outcomes():
        yield OUTCOMES[0]
        raise OSError(5, "Input/output error")

    Path("x.csv").write_text("old")
    with pytest.raises(DatasetError, match=r"^x\.csv: input/output error$"):
        save("x.csv", outcomes())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.csv", "old")]
