"""The forms of the command line, each run as by a user, from a folder that is not the project's."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from support import random_parameters
from support_cli import environment, run

from darknet_py import __version__
from darknet_py.downloads import PUBLISHED
from darknet_py.network import load_structure
from darknet_py.weights import save_weights

SHAPES = ("data/shapes.data", "cfg/shapes.cfg", "data/shapes.weights")
PREDICT = ("classifier", "predict", *SHAPES)
REFERENCE = ("--engine", "reference")  # starts faster than the compiled one and answers alike
STAR = "data/star.png"


@pytest.fixture
def darknet(tmp_path, cache):
    """Run the program in a folder of its own."""

    def darknet(*arguments, stdin="", **env):
        return run(*arguments, cwd=tmp_path, env=environment(cache, **env), stdin=stdin)

    return darknet


@pytest.fixture(scope="session")
def expected(tmp_path_factory, cache):
    """The program's answer to the star, in JSON."""
    folder = tmp_path_factory.mktemp("expected")
    answer = run(*PREDICT, *REFERENCE, STAR, "-t", "10", "--format", "json", cwd=folder, env=environment(cache))
    assert answer.code == 0
    (record,) = json.loads(answer.out)
    assert record["predictions"][0]["label"] == "star"
    return record


def form_of_2016(record, top=3, name=STAR):
    """What the program of 2016 prints for a record, without the seconds."""
    guesses = "".join(f"{g['label']}: {g['probability']:f}\n" for g in record["predictions"][:top])
    return f"{record['width']} {record['height']}\n{name}: Predicted in ... seconds.\n{guesses}"


def make_model(cfg, layers):
    """Write a small network, and random weights beside it."""
    cfg.write_text(f"[net]\nheight=8\nwidth=8\nchannels=3\n{layers}")
    save_weights(cfg.with_suffix(".weights"), random_parameters(load_structure(cfg).layers))


@pytest.fixture
def thousand(tmp_path):
    """A small network with ImageNet's classes, and its weights, in a folder ``my models``."""
    folder = tmp_path / "my models"
    folder.mkdir()
    make_model(folder / "thousand.cfg", "[convolutional]\nfilters=1000\n[avgpool]\n[softmax]\n")
    return "my models/thousand.cfg", "my models/thousand.weights"


# Commands and their operands


def test_predict_prints_what_the_program_of_2016_prints(darknet, expected):
    answer = darknet(*PREDICT, *REFERENCE, STAR)
    network = load_structure("cfg/shapes.cfg")
    listing = f"{network.describe()}{network.dialect.summary}\n"
    assert (answer.code, answer.untimed) == (0, form_of_2016(expected))
    assert answer.err == f"{listing}Loading weights from data/shapes.weights...Done!\n"


def test_compiled_engine_answers_the_same(darknet, expected):
    answer = darknet(*PREDICT, STAR)
    assert answer.code == 0
    (size, _, *guesses), (_, _, *same) = (text.splitlines() for text in (answer.out, form_of_2016(expected)))
    assert size == "85 64"
    for guess, other in zip(guesses, same, strict=True):
        (name, probability), (label, value) = guess.split(": "), other.split(": ")
        assert name == label
        assert float(probability) == pytest.approx(float(value), abs=2e-5)


def test_bfloat16_answers_nearly_the_same(darknet, expected):
    answer = darknet(*PREDICT, STAR, "--precision", "bfloat16")
    assert answer.code == 0
    name, probability = answer.out.splitlines()[2].split(": ")
    label, value = form_of_2016(expected).splitlines()[2].split(": ")
    assert name == label
    assert float(probability) == pytest.approx(float(value), abs=0.05)
    assert probability != value


def test_the_reference_engine_has_one_precision(darknet):
    answer = darknet(*PREDICT, STAR, "--engine", "reference", "--precision", "bfloat16")
    assert answer.code == 1
    assert answer.err == (
        "darknet: precision=bfloat16: the reference engine computes in float32 only; take engine=cpu\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify", *SHAPES, STAR),
        ("classifier", "predict", "shapes", STAR),
        ("classify", "shapes", "star.png"),
        ("classify", "data/shapes.data", "shapes", STAR),
        ("classify", ROOT / "data/shapes.data", ROOT / "cfg/shapes.cfg", ROOT / "data/shapes.weights", STAR),
        ("-t", "3", *PREDICT, STAR),
        ("-nogpu", *PREDICT, STAR),
        ("classifier", "-t", "3", "predict", *SHAPES, STAR),
        (*PREDICT, "-nogpu", STAR, "-t", "3"),
        (*PREDICT, "--top", "3", STAR, "--no-gpu"),
        (*PREDICT, "--top=3", "--", STAR),
        (*PREDICT, "--style", "lines", "--format", "text", STAR),
        (*PREDICT, "--threads", "1", STAR),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)).replace(str(ROOT), "ROOT"),
)
def test_forms_of_the_same_command(darknet, expected, arguments):
    answer = darknet(*arguments)
    assert answer.code == 0
    name = next(str(word) for word in reversed(arguments) if str(word).endswith(".png"))
    assert answer.untimed.splitlines()[:3] == form_of_2016(expected, 1, name).splitlines()
    assert len(answer.out.splitlines()) == 5


def test_predict_of_the_mission_with_a_folder_for_the_data(darknet, thousand):
    """``predict cfg/ CFG WEIGHTS IMAGE``, and the same without DATA: ImageNet's classes."""
    with_folder = darknet("classifier", "predict", "cfg/", *thousand, STAR, *REFERENCE)
    without = darknet("classifier", "predict", *thousand, STAR, *REFERENCE)
    assert with_folder.code == without.code == 0
    assert with_folder.untimed == without.untimed
    names = (ROOT / "data" / "imagenet.shortnames.list").read_text().splitlines()
    guesses = with_folder.out.splitlines()[2:]
    assert len(guesses) == 5
    assert all(guess.split(": ")[0] in names for guess in guesses)


def test_ops_counts(darknet):
    answer = darknet("ops", "cfg/shapes.cfg")
    count = load_structure("cfg/shapes.cfg").operations
    assert answer.code == 0
    assert answer.out == f"Floating Point Operations: {count}\nFloating Point Operations: {count / 1e9:.2f} Bn\n"
    assert darknet("ops", "shapes").out == answer.out


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("help",)])
def test_help_names_the_commands(darknet, arguments):
    answer = darknet(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert all(f"\n  {name} " in answer.out for name in ("classifier predict", "classify", "ops", "fetch"))


@pytest.mark.parametrize("command", [("classifier", "predict"), ("classify",), ("ops",), ("fetch",)])
def test_every_command_has_help(darknet, command):
    answer = darknet(*command, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: darknet {' '.join(command)} ")


def test_version(darknet):
    answer = darknet("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"darknet {__version__}\n", "")


# Networks by name


def test_network_without_fetched_weights_says_how_to_fetch_them(darknet):
    answer = darknet("classify", "extraction", STAR)
    assert (answer.code, answer.out) == (1, "")
    (complaint,) = answer.complaints
    assert complaint.endswith(": no weights have been fetched for extraction; run `darknet fetch extraction`")


def test_network_of_which_no_weights_are_published_says_so(darknet):
    answer = darknet("classify", "resnet18", STAR)
    assert (answer.code, answer.out) == (1, "")
    assert "fetch knows none; name the file: cfg/resnet18.cfg FILE" in answer.err


def test_network_with_fetched_weights_runs(tmp_path):
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    with (folder / "tiny.weights").open("wb") as stream:
        stream.truncate(PUBLISHED["tiny"].sizes[0])
    answer = run("classify", "tiny", STAR, *REFERENCE, cwd=tmp_path, env=environment(tmp_path / "cache"))
    assert answer.code == 0
    # Weights of 0 prefer nothing, and of equals the first come first.
    names = (ROOT / "data" / "imagenet.shortnames.list").read_text().splitlines()
    assert answer.out.endswith("".join(f"{name}: 0.001000\n" for name in names[:5]))


# Pictures


@pytest.fixture
def pictures(tmp_path):
    """A folder with a folder in it, and a file that is not a picture."""
    shutil.copy(ROOT / "data" / "heart.png", tmp_path / "a heart.png")
    (tmp_path / "more" / "below").mkdir(parents=True)
    shutil.copy(ROOT / "data" / "star.png", tmp_path / "more" / "star.PNG")
    shutil.copy(ROOT / "data" / "arrow.png", tmp_path / "more" / "below" / "arrow.png")
    (tmp_path / "more" / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_text("no picture")


def records(answer):
    """The JSON objects, one on each line."""
    return list(map(json.loads, answer.out.splitlines()))


@pytest.mark.parametrize(
    ("operands", "stdin", "found"),
    [
        (("a heart.png", STAR, "a heart.png"), "", ["a heart.png", STAR, "a heart.png"]),
        (("more",), "", ["more/below/arrow.png", "more/star.PNG"]),
        (("more/", "a heart.png"), "", ["more/below/arrow.png", "more/star.PNG", "a heart.png"]),
        (("-",), "a heart.png\n\nmore/star.PNG\r\n", ["a heart.png", "more/star.PNG"]),
        (("-", STAR), "a heart.png", ["a heart.png", STAR]),
    ],
    ids=["several", "folder", "folder and picture", "list", "list and picture"],
)
def test_pictures_named_in_every_way(darknet, pictures, operands, stdin, found):
    answer = darknet("classify", "shapes", *operands, "--format", "jsonl", *REFERENCE, stdin=stdin)
    assert answer.code == 0
    assert [record["file"] for record in records(answer)] == [os.path.normpath(name) for name in found]


FAILED = [
    {"file": "broken.png", "error": "not a picture in any format known here", "predictions": []},
    {"file": "none.png", "error": "no such file", "predictions": []},
]


@pytest.mark.parametrize(
    ("operands", "code", "found"),
    [
        (("broken.png", "a heart.png", "none.png", STAR), 3, ["broken.png", "a heart.png", "none.png", STAR]),
        (("-",), 3, ["broken.png", "a heart.png", "none.png"]),
        (("broken.png", "none.png"), 1, ["broken.png", "none.png"]),
    ],
    ids=["some", "some of a list", "all"],
)
def test_pictures_that_fail_are_named_in_their_place_and_the_others_answered(darknet, pictures, operands, code, found):
    listed = "broken.png\na heart.png\nnone.png\n"
    answer = darknet("classify", "shapes", *operands, "--format", "jsonl", *REFERENCE, stdin=listed)
    assert answer.code == code
    told = records(answer)
    assert [record["file"] for record in told] == found
    assert [record for record in told if not record["predictions"]] == FAILED
    assert answer.complaints == ["broken.png: not a picture in any format known here", "none.png: no such file"]


def test_a_folder_that_is_not_there_is_that_of_the_package(darknet):
    answer = darknet("classify", "shapes", "data", "--format", "jsonl", *REFERENCE)
    assert answer.code == 0
    stems = [Path(record["file"]).stem for record in records(answer)]
    assert stems == [record["predictions"][0]["label"] for record in records(answer)]
    assert "star" in stems


def test_a_folder_without_a_picture_is_a_record_too(darknet, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = darknet("classify", "shapes", "empty", STAR, "--format", "jsonl", *REFERENCE)
    assert answer.code == 3
    assert records(answer)[0] == {"file": "empty", "error": "no picture in this folder or below it", "predictions": []}


def test_fitting_is_chosen_and_named(darknet):
    sizes = {"shorter": (85, 64), "letterbox": (64, 64), "center-crop": (64, 64), "stretch": (64, 64)}
    seen = set()
    for mode, size in sizes.items():
        answer = darknet("classify", "shapes", STAR, "--preprocess", mode, "--format", "jsonl", *REFERENCE)
        record = json.loads(answer.out)
        assert (record["preprocess"], record["width"], record["height"]) == (mode, *size)
        assert record["predictions"][0]["label"] == "star"
        seen.add(record["predictions"][0]["probability"])
    assert len(seen) == len(sizes)


def test_network_that_cannot_be_resized_letterboxes_and_refuses_shorter(darknet, tmp_path):
    make_model(tmp_path / "fixed.cfg", "[connected]\noutput=10\n[softmax]\n")
    command = ("classify", "shapes.data", "fixed.cfg", "fixed.weights", STAR, "--format", "jsonl", *REFERENCE)
    assert json.loads(darknet(*command).out)["preprocess"] == "letterbox"
    refused = darknet(*command, "--preprocess", "shorter")
    own = "cannot run at 10 x 8 but only at 8 x 8: layer 0 [connected] fixes the input's size"
    reason = f"fixed.cfg: {own}"
    assert refused.code == 1
    assert records(refused) == [{"file": STAR, "error": reason, "predictions": []}]
    assert refused.complaints == [f"{STAR}: {reason}"]
