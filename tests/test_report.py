"""What is printed for each picture: as darknet did in 2016 and 2018, and as records for programs."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from conftest import REFERENCE as RECORDED
from conftest import ROOT, needs_reference
from support_cli import environment, run

REFERENCE = ("--engine", "reference")  # starts faster than the compiled one and answers alike
STAR = "data/star.png"
FIELDS = ["file", "width", "height", "preprocess", "seconds"]
GUESS = ["index", "wnid", "label", "probability"]


@pytest.fixture
def darknet(tmp_path, cache):
    """Run the program in a folder of its own."""

    def darknet(*arguments, stdin=""):
        return run(*arguments, cwd=tmp_path, env=environment(cache), stdin=stdin)

    return darknet


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_json_holds_every_field(darknet, format):
    answer = darknet("classify", "shapes", STAR, "data/heart.png", "-t", "2", "--format", format, *REFERENCE)
    assert answer.code == 0
    records = json.loads(answer.out) if format == "json" else list(map(json.loads, answer.out.splitlines()))
    assert len(records) == 2
    for record in records:
        assert list(record) == [*FIELDS, "predictions"]
        assert [list(guess) for guess in record["predictions"]] == [GUESS] * 2
        assert 0 < record["seconds"] < 60
    star = records[0]
    assert (star["file"], star["width"], star["height"], star["preprocess"]) == (STAR, 85, 64, "shorter")
    assert [star["predictions"][0][key] for key in GUESS[:3]] == [8, "star", "star"]
    assert records[1]["predictions"][0]["label"] == "heart"


def test_csv_holds_every_field(darknet):
    answer = darknet("classify", "shapes", STAR, "-t", "2", "--format", "csv", *REFERENCE)
    assert answer.code == 0
    told = json.loads(darknet("classify", "shapes", STAR, "-t", "2", "--format", "jsonl", *REFERENCE).out)
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert list(rows[0]) == [*FIELDS, "rank", *GUESS, "error"]
    assert [row["error"] for row in rows] == ["", ""]
    for rank, (row, guess) in enumerate(zip(rows, told["predictions"], strict=True), 1):
        assert row["rank"] == str(rank)
        assert {key: row[key] for key in GUESS} == {key: str(value) for key, value in guess.items()}
        assert (row["file"], row["width"], row["height"], row["preprocess"]) == (STAR, "85", "64", "shorter")


def test_csv_has_a_row_for_a_picture_that_fails(darknet):
    answer = darknet("classify", "shapes", "none.png", STAR, "-t", "1", "--format", "csv", *REFERENCE)
    assert answer.code == 3
    failed, answered = csv.DictReader(io.StringIO(answer.out))
    assert {key: value for key, value in failed.items() if value} == {"file": "none.png", "error": "no such file"}
    assert (answered["file"], answered["label"], answered["error"]) == (STAR, "star", "")


@pytest.mark.parametrize(("operands", "code"), [(("none.png",), 1), ((STAR, "none.png"), 3)])
def test_json_is_whole_where_the_last_picture_fails(darknet, operands, code):
    answer = darknet("classify", "shapes", *operands, "--format", "json", *REFERENCE)
    assert answer.code == code
    told = json.loads(answer.out)
    assert [record["file"] for record in told] == list(operands)
    assert told[-1] == {"file": "none.png", "error": "no such file", "predictions": []}


def test_json_of_no_picture_is_an_empty_list(darknet):
    answer = darknet("classify", "shapes", "--format", "json", *REFERENCE)
    assert (answer.code, json.loads(answer.out)) == (0, [])


def test_table_is_what_the_program_of_2018_prints(darknet):
    """Letterboxed; percentages alone on standard output, the time of each picture beside the listing."""
    boxed = darknet("classify", "shapes", STAR, "--preprocess", "letterbox", "--format", "jsonl", *REFERENCE)
    guesses = json.loads(boxed.out)["predictions"]
    answer = darknet("classify", "shapes", STAR, "--style", "table", *REFERENCE)
    lines = [f"{100 * guess['probability']:5.2f}%: {guess['label']}" for guess in guesses]
    assert (answer.code, answer.out.splitlines()) == (0, lines)
    assert answer.err.startswith(
        "layer     filters    size              input                output\n    0 conv     16 "
    )
    loaded, timed = answer.err.splitlines()[-2:]
    assert loaded == "Loading weights from data/shapes.weights...Done!"
    assert re.fullmatch(rf"{STAR}: Predicted in \d+\.\d{{6}} seconds\.", timed)


def test_table_escapes_names_of_files_on_standard_error(darknet, tmp_path):
    (tmp_path / "\x1b[31m\u202e.png").write_bytes((ROOT / STAR).read_bytes())
    answer = darknet("classify", "shapes", "\x1b[31m\u202e.png", "--style", "table", *REFERENCE)
    assert answer.err.splitlines()[-1].startswith("\\x1b[31m\\u202e.png: Predicted in ")


@pytest.mark.parametrize("mode", ["shorter", "center-crop"])
def test_table_fits_pictures_as_it_is_told(darknet, mode):
    chosen, told = (
        darknet("classify", "shapes", STAR, "--preprocess", mode, *more, *REFERENCE).out
        for more in (("--style", "table"), ("--format", "jsonl"))
    )
    probability = json.loads(told)["predictions"][0]["probability"]
    assert chosen.startswith(f"{100 * probability:5.2f}%: star\n")


def test_prompt_of_the_table_stays_on_standard_output(darknet):
    answer = darknet("classify", "shapes", "--style", "table", "-t", "1", *REFERENCE, stdin=f"{STAR}\n")
    assert re.fullmatch(r"Enter Image Path: \d\d\.\d\d%: star\nEnter Image Path: ", answer.out)


@needs_reference
def test_table_names_what_the_program_of_2018_named(darknet):
    """Of 50 photographs of ImageNet; its decoder is another, so probabilities are not compared."""
    photographs = sorted((RECORDED / "real" / "images").iterdir())
    weights = RECORDED / "real" / "tiny.weights"
    answer = darknet("classify", "cfg/tiny.cfg", weights, *photographs, "-t", "1", "--style", "table", *REFERENCE)
    names = (ROOT / "data" / "imagenet.shortnames.list").read_text().splitlines()
    recorded = np.load(RECORDED / "real" / "expected.npz")
    expected = [names[recorded[f"letterbox/{file.name}"].argmax()] for file in photographs]
    assert [line.split("%: ")[1] for line in answer.out.splitlines()] == expected
