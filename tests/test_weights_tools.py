"""The commands on weights files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support import random_parameters

from darknet_py.network import load_structure
from darknet_py.weights import load_prefix, load_weights, save_weights

CFG = """[net]
channels=3
height=6
width=6
[convolutional]
batch_normalize=1
filters=4
size=3
[maxpool]
size=2
[connected]
output=5
[softmax]
"""
SEEN = 123456


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.cfg").write_text(CFG)
    save_weights("x.weights", random_parameters(load_structure("x.cfg").layers), SEEN)
    return tmp_path


@pytest.fixture
def darknet(folder, darknet):
    return darknet


def load(cfg, weights):
    return load_weights(weights, load_structure(cfg))


def test_partial_writes_what_load_prefix_reads(darknet):
    assert darknet("partial", "x.cfg", "x.weights", "x.conv.2", "2") == (0, "x.conv.2\n", "")
    network = load_structure("x.cfg")
    found, whole = load_prefix("x.conv.2", network), load_weights("x.weights", network)
    assert found.header.seen == 0
    assert len(found.layers) == 2
    assert (found.parameters.values == whole.parameters.first(2).values).all()
    assert darknet("partial", "x.cfg", "x.weights", "all", "4")[0] == 0
    assert (load("x.cfg", "all").parameters.values == whole.parameters.values).all()


def test_average_writes_the_mean(darknet):
    network = load_structure("x.cfg")
    save_weights("y.weights", random_parameters(network.layers, 1))
    assert darknet("average", "x.cfg", "mean.weights", "x.weights", "y.weights") == (0, "mean.weights\n", "")
    x, y, mean = (load("x.cfg", f"{name}.weights") for name in ("x", "y", "mean"))
    np.testing.assert_allclose(mean.parameters.values, (x.parameters.values + y.parameters.values) / 2, rtol=1e-6)
    assert mean.header.seen == SEEN


def test_average_writes_over_nothing(darknet):
    """Where OUT was forgotten, the first of the files to be averaged is in its place."""
    Path("y.weights").write_bytes(b"kept")
    Path("folder").mkdir()
    Path("link").symlink_to("y.weights")
    for out in ("y.weights", "folder", "link"):
        code, _, err = darknet("average", "x.cfg", out, "x.weights")
        assert (code, err) == (
            2,
            f"darknet: OUT {out}: is there already; CFG OUT WEIGHTS ... is expected, OUT a new file\n",
        )
    assert Path("link").is_symlink()
    assert Path("y.weights").read_bytes() == b"kept"


@pytest.mark.parametrize(("command", "normalized"), [("denormalize", [False, False]), ("normalize", [True, True])])
def test_weights_and_their_cfg_are_written_beside_each_other(darknet, command, normalized):
    assert darknet(command, "x.cfg", "x.weights", "out.weights") == (0, "out.weights\nout.cfg\n", "")
    written = load("out.cfg", "out.weights")
    assert [layer.batch_normalize for layer in written.layers if layer.parameters] == normalized
    assert written.header.seen == SEEN
    # Once more, over itself; but nothing else is replaced.
    assert darknet(command, "x.cfg", "x.weights", "out.weights")[0] == 0
    code, _, err = darknet(command, "x.cfg", "x.weights", "x.new")
    assert (code, err) == (
        1,
        "darknet: x.cfg: is there already and would be replaced by the cfg of OUT; call OUT otherwise\n",
    )
    assert load("x.cfg", "x.weights").header.seen == SEEN
    assert darknet(command, "x.cfg", "x.weights", "new.cfg")[0] == 2


@pytest.mark.parametrize("command", ["reset", "rescale", "rgbgr"])
def test_changed_weights_fit_the_same_cfg(darknet, command):
    assert darknet(command, "x.cfg", "x.weights", "out") == (0, "out\n", "")
    old, new = load("x.cfg", "x.weights"), load("x.cfg", "out")
    assert (old.parameters.values != new.parameters.values).any()
    assert new.header.seen == SEEN
    assert sorted(os.listdir()) == ["out", "x.cfg", "x.weights"]


def test_print_gives_a_line_for_each_filter(darknet):
    weights = load("x.cfg", "x.weights").parameters
    for words, layer in (((), 0), (("0",), 0), (("2",), 2)):
        code, out, _ = darknet("print", "x.cfg", "x.weights", *words)
        rows = [[float(number) for number in line.split(" ")] for line in out.splitlines()]
        expected = weights.views[layer]["weights"]
        assert code == 0
        np.testing.assert_allclose(rows, expected.reshape(len(expected), -1), rtol=1e-5)


def test_statistics_give_a_line_for_each_parameter(darknet):
    code, out, _ = darknet("statistics", "x.cfg", "x.weights")
    header, *rows = (line.split() for line in out.splitlines())
    weights = load("x.cfg", "x.weights").parameters
    assert code == 0
    assert header == ["layer", "kind", "parameter", "values", "mean", "deviation", "least", "most"]
    assert [tuple(row[:4]) for row in rows] == [
        (str(entry.layer.index), entry.layer.kind, entry.name, str(entry.parameter.size)) for entry in weights.entries
    ]
    for entry, row in zip(weights.entries, rows, strict=True):
        values = entry.find(weights.values)
        told = [float(value) for value in row[4:]]
        np.testing.assert_allclose(told, [values.mean(), values.std(), values.min(), values.max()], rtol=1e-4)
    # Columns of numbers end alike, with signs or without.
    assert len({len(line) for line in out.splitlines()[1:]}) == 1


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("partial x.cfg x.weights out", 2, "CFG WEIGHTS OUT N or NAME OUT N is expected"),
        ("partial x.cfg x.weights out 1 2", 2, "CFG WEIGHTS OUT N or NAME OUT N is expected"),
        ("partial x.cfg x.weights out 0", 2, "N: 0: at least 1 is expected"),
        ("partial x.cfg x.weights out two", 2, "N: two: not a number"),
        ("partial x.cfg x.weights out 5", 2, "N: 5: x.cfg has 4 layers"),
        ("partial x.cfg x.cfg out 1", 1, "are they the weights of this network?"),
        ("average x.cfg out", 2, "WEIGHTS"),
        ("average x.cfg out x.weights none", 1, "none: no such file"),
        ("average x.cfg none/out x.weights", 1, "none/out: no such file"),
        ("print x.cfg x.weights 4", 2, "N: 4: x.cfg has 4 layers, from 0"),
        ("print x.cfg x.weights -- -1", 2, "N: -1: at least 0 is expected"),
        ("print x.cfg x.weights 1", 1, "x.cfg:9: [maxpool]: layer 1 has no weights to print"),
        ("statistics x.cfg", 2, "a weights file is missing after x.cfg"),
        ("statistics x.cfg x.weights 1", 2, "CFG WEIGHTS or NAME is expected"),
        ("denormalize x.cfg x.weights", 2, "CFG WEIGHTS OUT or NAME OUT is expected"),
        ("rgbgr x.cfg x.weights /dev/null", 1, "an ordinary file is expected"),
        ("rescale x.cfg x.weights x.cfg", 2, "OUT x.cfg: would replace a file that this run reads"),
        ("rescale x.cfg x.weights ./x.weights", 2, "OUT ./x.weights: would replace a file that this run reads"),
        ("average x.cfg x.weights y.weights x.weights", 2, "OUT x.weights: would replace a file that this run reads"),
        ("average x.cfg ./x.cfg x.weights", 2, "OUT ./x.cfg: would replace a file that this run reads"),
        ("partial x.cfg x.weights x.weights 1", 2, "OUT x.weights: would replace a file that this run reads"),
        ("partial x.cfg x.weights x.cfg 1", 2, "OUT x.cfg: would replace a file that this run reads"),
    ],
)
def test_wrong_operands_are_told_in_a_line_and_nothing_is_written(darknet, line, code, message):
    found, out, err = darknet(*line.split())
    assert (found, out) == (code, "")
    assert err.startswith("darknet: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(os.listdir()) == ["x.cfg", "x.weights"]
    assert load("x.cfg", "x.weights").header.seen == SEEN
