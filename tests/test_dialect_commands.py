"""--dialect, as a user sees it: which is used, which is named, and what is written in it."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from conftest import ROOT
from support import random_array, random_parameters, run_engine

from darknet_py.cli import main
from darknet_py.layers import ALEXEYAB, DARKNET
from darknet_py.network import load_structure
from darknet_py.weights import load_weights, save_weights

CFG = """[net]
channels=3
height=6
width=6
[convolutional]
batch_normalize=1
filters=4
size=3
[connected]
output=2
[softmax]
"""
OWN, FORKS = (dialect.summary for dialect in (DARKNET, ALEXEYAB))
PICTURE = str(ROOT / "data" / "star.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a network and its weights in both versions; their variances are small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.cfg").write_text(CFG)
    (tmp_path / "x.data").write_text("classes=2\nnames=x.names\nlabels=x.names\nvalid=x.list\n")
    (tmp_path / "x.names").write_text("star\nmoon\n")
    (tmp_path / "x.list").write_text(f"{PICTURE}\n")
    for name, dialect in (("own", DARKNET), ("forks", ALEXEYAB)):
        layers = load_structure("x.cfg", dialect).layers
        parameters = random_parameters(layers)
        parameters.views[0]["variances"] = np.geomspace(1e-6, 1e-4, 4, dtype=np.float32)
        save_weights(f"{name}.weights", parameters)
    return tmp_path


@pytest.fixture
def darknet(folder, capsys):
    """Run the program in this process; return what it printed on standard output and on standard error."""

    def darknet(*arguments):
        assert main(list(arguments)) == 0
        return capsys.readouterr()

    return darknet


@pytest.mark.parametrize(("options", "summary"), [((), OWN), (("--dialect", "alexeyab"), FORKS)])
def test_ops_and_plan_name_it(darknet, options, summary):
    assert darknet("ops", "x.cfg", *options).err.splitlines()[-1] == summary
    assert darknet("plan", "x.cfg", *options).out.splitlines()[-1] == summary


@pytest.mark.parametrize(
    ("weights", "options", "summary"),
    [
        ("own.weights", (), OWN),
        ("forks.weights", (), FORKS),
        ("own.weights", ("--dialect", "alexeyab"), FORKS),
        ("forks.weights", ("--dialect", "darknet"), OWN),
    ],
)
def test_predict_names_it_and_answers_in_it(darknet, weights, options, summary):
    """The parameters are the same in both files."""
    words = ("classifier", "predict", "x.data", "x.cfg", weights, PICTURE, "--engine", "reference")
    answer = darknet(*words, *options, "--format", "json")
    assert summary in answer.err.splitlines()
    assert ("version 0.2.5" in answer.err) == ("darknet" in options)
    same = darknet(*words[:4], "own.weights", *words[5:], "--dialect", "alexeyab" if summary == FORKS else "darknet")
    (record,) = json.loads(answer.out)
    shown = dict(line.split(": ") for line in same.out.splitlines()[2:])
    assert {p["label"]: f"{p['probability']:f}" for p in record["predictions"]} == shown


def test_another_dialect_is_another_run_of_valid(darknet, folder):
    words = ("classifier", "valid", "x.data", "x.cfg", "own.weights", "--engine", "reference", "--format", "json")
    found = [json.loads(darknet(*words, "--dialect", name).out)["dialect"] for name in ("darknet", "alexeyab")]
    assert found == ["darknet", "alexeyab"]
    journals = [path for path in (folder / "cache" / "journals").iterdir() if path.suffix != ".lock"]
    assert len(journals) == 2
    assert sorted(name for name in found if any(f'"{name}"' in path.read_text() for path in journals)) == sorted(found)
    darknet(*words, "--journal", "x.journal")
    assert main([*words, "--journal", "x.journal", "--resume", "--dialect", "alexeyab"]) == 1


def outputs(cfg, weights, dialect):
    network = load_structure(cfg, dialect)
    return run_engine("reference", network.layers, load_weights(weights, network).read(), random_array((2, 3, 6, 6)))


@pytest.mark.parametrize("command", ["reset", "normalize", "denormalize"])
@pytest.mark.parametrize(
    ("weights", "options", "dialect"),
    [
        ("own.weights", (), DARKNET),
        ("forks.weights", (), ALEXEYAB),
        ("own.weights", ("--dialect", "alexeyab"), ALEXEYAB),
    ],
)
def test_changed_weights_are_written_in_the_dialect_and_answer_alike(darknet, command, weights, options, dialect):
    darknet(command, *options, "x.cfg", weights, "y.weights")
    with open("y.weights", "rb") as stream:
        assert struct.unpack("<iii", stream.read(12)) == dialect.version
    cfg = "x.cfg" if command == "reset" else "y.cfg"
    expected = outputs("x.cfg", weights, dialect)
    np.testing.assert_allclose(outputs(cfg, "y.weights", dialect), expected, rtol=1e-4, atol=1e-6)


def test_the_mean_of_files_in_two_dialects_wants_one_named(darknet, capsys):
    words = ("average", "x.cfg", "y.weights", "own.weights", "forks.weights")
    assert main(list(words)) == 2
    assert "whose arithmetic the mean is to have is expected: --dialect" in capsys.readouterr().err
    darknet(*words, "--dialect", "alexeyab")


def test_exported_models_answer_in_it(darknet):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for weights, dialect in (("own.weights", DARKNET), ("forks.weights", ALEXEYAB)):
        darknet("export", "x.cfg", weights, "x.onnx")
        session = runtime.InferenceSession("x.onnx", providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"images": random_array((2, 3, 6, 6))})
        np.testing.assert_allclose(found, outputs("x.cfg", weights, dialect), atol=1e-5)
