"""Networks whose classes are kinds of each other, from the command line and from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import ROOT
from support_hierarchy import NAMES, PARENTS, write_hierarchy

from darknet_py import load_network
from darknet_py.cli import main
from darknet_py.commands import gallery
from darknet_py.datasets.data_file import load_dataset

GROUPS = slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 8)
STAR = str(ROOT / "data" / "star.png")


@pytest.fixture
def files(tmp_path):
    return write_hierarchy(tmp_path)


def expected(files, only_leaves):
    """Each class's probability, from the network's outputs."""
    network = load_network(files[1], files[2], "reference")
    (view,) = network.prepare(np.asarray(_picture()), "letterbox")
    outputs = network.predict(view[None])[0].astype(float)
    for group in GROUPS:
        assert outputs[group].sum() == pytest.approx(1, abs=1e-5)
    for index, parent in enumerate(PARENTS):
        outputs[index] *= outputs[parent] if parent >= 0 else 1
    return np.where(np.isin(range(8), PARENTS), 0, outputs) if only_leaves else outputs


def _picture():
    from darknet_py.images.decode import load_image

    return load_image(STAR)


def predict(capsys, files, *options):
    assert main(["classifier", "predict", *files, STAR, "--engine", "reference", *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_lines_of_2016_keep_all_classes_and_name_their_parents(files, capsys):
    p = expected(files, False)
    told = predict(capsys, files, "--preprocess", "letterbox")[2:]
    order = np.argsort(-p, kind="stable")
    assert [line.split(", ")[0] for line in told] == [str(i) for i in order]
    for line, i in zip(told, order, strict=True):
        name, probability = line.split(", ")[1].split(": ")
        assert name == NAMES[i]
        assert float(probability) == pytest.approx(p[i], abs=2e-6)
        assert line.endswith(f", parent: {NAMES[PARENTS[i]] if PARENTS[i] >= 0 else 'Root'}")


def test_the_table_of_2018_keeps_leaves_alone(files, capsys):
    p = expected(files, True)
    told = predict(capsys, files, "--style", "table")
    best = int(p.argmax())
    assert told[0] == f"{100 * p[best]:5.2f}%: {NAMES[best]}"
    zeros = [line.split(": ")[1] for line in told if line.startswith(" 0.00%")]
    assert set(NAMES[:3]) <= set(zeros)


def test_json_names_the_parent(files, capsys):
    (line,) = predict(capsys, files, "--format", "jsonl")
    guesses = json.loads(line)["predictions"]
    assert {guess["label"]: guess["parent"] for guess in guesses} == {
        name: NAMES[parent] if parent >= 0 else "" for name, parent in zip(NAMES, PARENTS, strict=True)
    }


@pytest.mark.parametrize("crew", [(), pytest.param(("--cluster", "local:1"), marks=pytest.mark.slow)])
@pytest.mark.parametrize(("command", "only_leaves"), [("fout", False), ("test", False), ("label", True), ("csv", True)])
def test_of_a_list_all_probabilities_are_printed_or_leaves_are_guessed(
    files, capsys, tmp_path, command, only_leaves, crew
):
    if crew:
        pytest.importorskip("distributed", reason="distributed is not installed (the extra [cluster])")
    (tmp_path / "x.list").write_text(f"{STAR}\n")
    options = ("--preprocess", "letterbox", "--engine", "reference", "--journal", str(tmp_path / "journal"), *crew)
    assert main(["classifier", command, *files, str(tmp_path / "x.list"), *options]) == 0
    told = capsys.readouterr().out.strip().split("\t")
    p = expected(files, only_leaves)
    if command == "label":
        assert told == [NAMES[int(p.argmax())]]
    elif command == "csv":
        assert told == [STAR, *map(str, np.argsort(-p, kind="stable"))]
    else:
        assert [float(value) for value in told[1:]] == pytest.approx(p, abs=1e-5)


def test_classify_guesses_leaves(files):
    network = load_network(files[1], files[2], "reference")
    network.dataset = load_dataset(files[0])
    (best,) = network.classify(STAR, 1, "letterbox")
    p = expected(files, True)
    assert (best.label, best.parent) == (NAMES[int(p.argmax())], NAMES[PARENTS[int(p.argmax())]])
    assert best.probability == pytest.approx(p.max(), abs=1e-5)


def test_a_heatmap_tells_the_probability_of_the_class_that_is_asked_for(files, tmp_path, capsys, monkeypatch):
    """Also for a class of which others are a kind, as the first guess of the lines is one."""
    network = load_network(files[1], files[2], "reference")
    network.dataset = load_dataset(files[0])
    p = expected(files, False)
    for index in range(8):
        told = network.heatmap(STAR, 0, index, "letterbox").prediction
        assert (told.index, told.probability) == (index, pytest.approx(p[index], abs=1e-5))
    assert network.heatmap(STAR, 0, preprocess="letterbox").prediction.index == expected(files, True).argmax()
    drawn = []
    monkeypatch.setattr(gallery, "annotate", lambda picture, guesses: drawn.extend(guesses) or picture)
    predict(capsys, files, "--preprocess", "letterbox", "--heatmap", str(tmp_path))
    assert drawn == [(NAMES[int(p.argmax())], pytest.approx(p.max(), abs=1e-5))]


def test_a_network_without_a_tree_has_no_parents():
    network = load_network("shapes.cfg", "shapes.weights", "reference")
    assert network.classify(STAR, 1)[0].parent is None
