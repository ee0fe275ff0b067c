"""What the operands of a command are: DATA, CFG, WEIGHTS and pictures, recognized by content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from darknet_py.cli import main
from darknet_py.commands.model import split_operands
from darknet_py.errors import UsageError

DATA = "classes=4\nnames=x.names\n"
CFG = "[net]\nheight=8\n"
FILES = {
    "x.data": DATA,
    "x.dataset": DATA,
    "cats": "\ufeff# of cats\r\n\r\n; of dogs\r\n  classes = 4\r\nnames=x.names\r\n",
    "names first": "names=[x].names\n",
    "x.cfg": CFG,
    "net": "\ufeff# of cats\n\n [net]\n",
    "net.data": CFG,
    "wrong.cfg": "height=8\n[net]\n",
    "empty.cfg": "",
    "empty.data": "",
    "binary.data": "\0",
    "binary.cfg": "\0",
    "x.weights": "\0\0\0\0\2\0\0\0classes=4\n",
    "x.names": "a\nb\n",
    "x.png": "\x89PNG\r\n\x1a\n",
    "page": "<html lang='en'>\n",
    "empty": "",
    "utf-16": DATA.encode("utf-16").decode("latin-1"),
}
IMAGENET = "cfg/imagenet1k.data"
EXPECTED = "[DATA] CFG WEIGHTS [IMAGE ...] or NAME [IMAGE ...] is expected"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with the files, and a folder and a FIFO."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).write_bytes(content.encode("latin-1" if name == "utf-16" else "utf-8"))
    Path("folder").mkdir()
    Path("folder.cfg").mkdir()
    return tmp_path


def split(words):
    operands = split_operands(words.split(","), "[DATA] CFG WEIGHTS [IMAGE ...]")
    return operands.data, operands.cfg, operands.weights, operands.rest


@pytest.mark.parametrize("data", ["x.data", "x.dataset", "cats", "names first", "folder", "folder.cfg", "binary.data"])
def test_data_comes_before_cfg_and_weights_whatever_they_are_called(data):
    for cfg in ("x.cfg", "net", "net.data", "wrong.cfg", "empty.cfg", "none.cfg", "none"):
        for rest in ([], ["x.png"], ["x.png", "cats", "x.cfg"]):
            assert split(",".join([data, cfg, "x.weights", *rest])) == (data, cfg, "x.weights", rest)


def test_without_data_imagenets_classes_are_meant():
    for cfg in ("x.cfg", "net", "net.data", "wrong.cfg", "empty.cfg", "binary.cfg", "none.cfg", "none"):
        assert split(f"{cfg},x.weights,x.png") == (IMAGENET, cfg, "x.weights", ["x.png"])


@pytest.mark.parametrize("data", ["x.data", "x.dataset", "cats", "folder"])
def test_data_comes_before_a_name(data):
    assert split(f"{data},shapes,x.png") == (data, "cfg/shapes.cfg", "data/shapes.weights", ["x.png"])
    assert split("shapes,x.dataset") == ("data/shapes.data", "cfg/shapes.cfg", "data/shapes.weights", ["x.dataset"])


def test_packaged_data_is_told_too():
    assert split("imagenet1k.data,tiny.cfg,x.weights")[:2] == ("imagenet1k.data", "tiny.cfg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
@pytest.mark.parametrize(("name", "data"), [("fifo.data", "fifo.data"), ("fifo", IMAGENET)])
def test_what_cannot_be_looked_into_is_told_by_its_name(name, data):
    os.mkfifo(name)
    assert split(f"{name},x.cfg,x.weights")[0] == data


@pytest.mark.parametrize("name", ["none.data", "empty.data", "binary.data"])
def test_a_data_file_that_is_none_is_left_to_its_reader(name):
    assert split(f"{name},x.cfg,x.weights")[0] == name


@pytest.mark.parametrize("first", ["x.weights", "x.png", "x.names", "page", "empty", "utf-16"])
def test_what_is_neither_data_nor_a_cfg_is_refused_as_the_first(first):
    with pytest.raises(UsageError) as error:
        split(f"{first},x.cfg,x.weights")
    assert str(error.value) == f"{first}: neither a .data file nor a cfg; {EXPECTED}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("x.data", "a cfg file is missing"),
        ("x.dataset,x.cfg", "a weights file is missing after x.cfg"),
        ("x.data,x.dataset,x.weights", "x.dataset: DATA in the place of CFG"),
        ("x.cfg,x.dataset,x.weights", "x.dataset: DATA in the place of WEIGHTS"),
        ("x.data,x.cfg,net", "net: CFG in the place of WEIGHTS"),
        ("x.cfg,x.png", f"x.png: a picture in the place of WEIGHTS; {EXPECTED}"),
    ],
)
def test_what_is_in_the_place_of_another_is_refused(words, message):
    with pytest.raises(UsageError) as error:
        split(words)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("classify", EXPECTED),
        ("serve", "[DATA] CFG WEIGHTS or NAME is expected"),
        ("classifier demo", "[DATA] CFG WEIGHTS [FILE | URL] or NAME [FILE | URL] is expected"),
        ("classifier valid", "[DATA] CFG WEIGHTS [LIST] or NAME [LIST] is expected"),
        ("classifier features --layer 1 --save a.npy", "[DATA] CFG WEIGHTS IMAGE ... or NAME IMAGE ... is expected"),
        ("statistics", "CFG WEIGHTS or NAME is expected"),
    ],
)
def test_each_command_tells_its_own(capsys, command, expected):
    assert main([*command.split(), "none.cfg"]) == 2
    assert capsys.readouterr().err == f"darknet: a weights file is missing after none.cfg; {expected}\n"


def test_train_tells_its_own_too(capsys):
    assert main(["classifier", "train", "x.png"]) == 2
    expected = "[DATA|FOLDER] CFG [WEIGHTS] is expected"
    assert capsys.readouterr().err == f"darknet: x.png: neither a .data file nor a cfg; {expected}\n"
