"""Every way of fitting, through the program, on photographs that the C program has classified."""

from __future__ import annotations

import functools
import json
import os

import numpy as np
import pytest
from conftest import REFERENCE, needs_reference
from support_cli import environment, run

pytestmark = needs_reference

REAL = REFERENCE / "real"
BOUND = 0.02  # by which another JPEG decoder changes a probability
TIED = 0.001  # for closer probabilities, the decoder decides which class is first
VIEWS = {"ten-crop": 10, "multi": 8}  # whose sum the C program prints
COMMANDS = {
    "valid": "center-crop",
    "validfull": "shorter",
    "valid10": "ten-crop",
    "validmulti": "multi",
    "label": "resize-crop",
    "csv": "letterbox",
    "fout": "resize-crop",
}
TOP = 5


@pytest.fixture(scope="module")
def expected():
    """The C program's answers, by mode and photograph, in the photographs' order."""
    with np.load(REAL / "expected.npz") as arrays:
        answers = {key: arrays[key] for key in arrays}
    names = sorted(os.listdir(REAL / "images"))
    modes = {key.partition("/")[0] for key in answers}
    return {mode: {name: answers[f"{mode}/{name}"] / VIEWS.get(mode, 1) for name in names} for mode in modes}


@pytest.fixture(scope="module")
def measure(tmp_path_factory, cache):
    """Run a command once; return what it printed, and its records."""

    @functools.cache
    def measure(command):
        folder = tmp_path_factory.mktemp(command)
        words = ("classifier", command, "cfg/tiny.cfg", REAL / "tiny.weights", REAL / "images", "--save", "x.jsonl")
        answer = run(*words, cwd=folder, env=environment(cache))
        assert answer.code == 0
        return answer.out.splitlines(), [json.loads(line) for line in (folder / "x.jsonl").read_text().splitlines()]

    return measure


@pytest.mark.parametrize("command", COMMANDS)
def test_photographs_are_classified_as_by_the_c_program(measure, expected, command):
    _, records = measure(command)
    photographs = expected[COMMANDS[command]]
    assert [os.path.basename(record["file"]) for record in records] == list(photographs)
    for record, probabilities in zip(records, photographs.values(), strict=True):
        guesses = record["predictions"]
        assert len(guesses) == TOP
        assert [guess["probability"] for guess in guesses] == pytest.approx(
            [probabilities[guess["index"]] for guess in guesses], abs=BOUND
        )
        first, second = np.argsort(-probabilities, kind="stable")[:2]
        assert guesses[0]["index"] == first or probabilities[first] - probabilities[second] < TIED


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("valid")])
def test_as_many_are_right_as_with_the_c_program(measure, expected, command):
    lines, records = measure(command)
    truths = [record["truth"] for record in records]
    assert [truth["wnid"] for truth in truths] == [os.path.basename(each["file"]).split("_")[0] for each in records]
    best = [np.argsort(-answer, kind="stable")[:TOP] for answer in expected[COMMANDS[command]].values()]
    for top in (1, TOP):
        (told,) = (line for line in lines if line.startswith(f"top-{top}: "))
        right = sum(truth["index"] in guesses[:top] for truth, guesses in zip(truths, best, strict=True))
        assert int(told.split(", ")[-1].removesuffix(" of 50")) == pytest.approx(right, abs=1)


def test_fout_prints_every_probability(measure, expected):
    lines, _ = measure("fout")
    for line, (name, probabilities) in zip(lines, expected["resize-crop"].items(), strict=True):
        file, *printed = line.split("\t")
        assert os.path.basename(file) == name
        np.testing.assert_allclose(np.array(printed, float), probabilities, rtol=0, atol=BOUND)
