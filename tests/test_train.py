"""The command `classifier train`: from pictures to files that predict and valid take as they are."""

from __future__ import annotations

import csv
import json
import re
import shutil
import struct
import sys

import numpy as np
import pytest
from PIL import Image
from support_cli import environment, run
from support_trainer import KINDS, draw_folders, write_cfg

from darknet_py.classifier import load_network

REFERENCE = ("--engine", "reference")


@pytest.fixture
def folder(tmp_path, pictures):
    (tmp_path / "pics").symlink_to(pictures)
    write_cfg(tmp_path / "net.cfg", outputs=5, batch=8, subdivisions=2, max_batches=4, learning_rate=0.02)
    return tmp_path


def test_a_folder_of_folders_is_enough(train, folder, cache):
    answer = train("pics", "net.cfg", *REFERENCE)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[:5] == ["net", "1", "Learning Rate: 0.02, Momentum: 0.9, Decay: 0.0005", "27", "16 17"]
    shapes = {
        r"Loaded: \d+\.\d{6} seconds": 4,
        r"\d, (0\.\d{3}|1\.\d{3}): \d\.\d{6}, \d\.\d{6} avg, 0\.020000 rate, \d+\.\d{6} seconds, \d+ images": 4,
        r"4, 1\.185: top-1: \d+\.\d\d%, best \d+\.\d\d% after 4": 1,
    }
    for shape, count in shapes.items():
        assert sum(bool(re.fullmatch(shape, line)) for line in lines[5:]) == count, shape
    assert len(lines) == 5 + 9
    assert lines[-2].endswith(" seconds, 32 images")
    assert "darknet: 27 images to train: circle 9, crescent 9, triangle 9\n" in answer.err
    assert "darknet: 3 images to validate: circle 1, crescent 1, triangle 1\n" in answer.err
    assert (folder / "backup" / "net.names").read_text().split() == list(KINDS)
    assert load_network(folder / "backup" / "net.cfg").outputs == 3
    model = ("backup/net.data", "backup/net.cfg", "backup/net_best.weights")
    measured = run("classifier", "valid", *model, *REFERENCE, cwd=folder, env=environment(cache))
    assert measured.code == 0
    best = re.search(r"best (\d+\.\d\d%)", lines[-1])[1]
    assert f"top-1: {best} " in measured.out
    predicted = run("classify", *model, "pics/circle/0000.png", *REFERENCE, cwd=folder, env=environment(cache))
    assert predicted.code == 0
    assert predicted.out.splitlines()[2].split(":")[0] in KINDS


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("pisc", "net.cfg"), "pisc: no such file or folder; [DATA|FOLDER] CFG [WEIGHTS] is expected"),
        (("pisc",), "pisc: no such file or folder; [DATA|FOLDER] CFG [WEIGHTS] is expected"),
        (("pics", "nte.cfg"), "nte.cfg: no such file; [DATA|FOLDER] CFG [WEIGHTS] is expected"),
    ],
)
def test_what_is_not_there_is_named(train, words, reason):
    answer = train(*words)
    assert (answer.code, answer.err) == (2, f"darknet: {reason}\n")


def test_a_network_of_one_channel_learns_from_grey_pictures(train, folder, cache):
    write_cfg(folder / "net.cfg", max_batches=4, learning_rate=0.02, channels=1, hue=0.1, saturation=1.5)
    for engine in ("reference", "cpu"):
        answer = train("pics", "net.cfg", "--engine", engine, "--threads", "2")
        assert answer.code == 0, answer.err
        assert load_network(folder / "backup" / "net.cfg").input_shape.channels == 1
        model = ("backup/net.data", "backup/net.cfg", "backup/net_best.weights")
        measured = run("classifier", "valid", *model, *REFERENCE, cwd=folder, env=environment(cache))
        best = re.search(r"best (\d+\.\d\d%)", answer.out.splitlines()[-1])[1]
        assert f"top-1: {best} " in measured.out


def write_data(folder, **lines):
    given = {
        "classes": 3,
        "train": "train.list",
        "valid": "valid.list",
        "names": "x.names",
        "labels": "x.names",
        **lines,
    }
    (folder / "x.data").write_text("".join(f"{key}={value}\n" for key, value in given.items() if value is not None))
    (folder / "x.names").write_text("".join(f"{kind}\n" for kind in KINDS))
    paths = [f"pics/{kind}/{number:04d}.png" for kind in KINDS for number in range(10)]
    (folder / "valid.list").write_text("".join(f"{path}\n" for path in paths[::3]))
    (folder / "train.list").write_text("".join(f"{path}\n" for path in paths if path not in paths[::3]))
    write_cfg(folder / "net.cfg", outputs=3, batch=8, max_batches=3, learning_rate=0.02)


@pytest.mark.slow
def test_a_small_network_learns_drawn_shapes_and_the_threads_change_nothing(cache, tmp_path):
    draw_folders(tmp_path / "pics", 100, kinds=("ring", "star"))
    write_cfg(tmp_path / "net.cfg", max_batches=400, policy="cosine", angle=180)
    found = []
    for threads in ("1", "3"):
        words = ("classifier", "train", "pics", "net.cfg", "--holdout", ".2", "--threads", threads, "--backup", threads)
        answer = run(*words, "--validate-every", "200", cwd=tmp_path, env=environment(cache))
        assert answer.code == 0, answer.err
        found.append((tmp_path / threads / "net_last.weights").read_bytes())
    assert float(re.search(r"\n400, .*: top-1: (\d+\.\d\d)%", answer.out)[1]) > 90
    assert found[0] == found[1]


def test_a_data_file_says_what_to_train_on_and_where_weights_go(train, folder):
    write_data(folder, backup="kept")
    answer = train("x.data", "net.cfg", *REFERENCE)
    assert answer.code == 0, answer.err
    assert "darknet: 20 images to train: circle 6, crescent 7, triangle 7\n" in answer.err
    assert "darknet: 10 images to validate: circle 4, crescent 3, triangle 3\n" in answer.err
    assert {path.name for path in (folder / "kept").iterdir() if path.suffix != ".lock"} == {
        "net.checkpoint", "net_best.weights", "net_last.weights",
    }  # fmt: skip


def test_weights_are_trained_on_in_the_arithmetic_of_their_program(train, folder):
    write_data(folder, valid=None)
    assert train("x.data", "net.cfg", *REFERENCE).code == 0
    trained = folder / "backup" / "net_last.weights"
    version = struct.pack("<iii", 0, 2, 5)  # AlexeyAB's
    (folder / "x.weights").write_bytes(version + trained.read_bytes()[12:])
    for words in (["x.weights", "-clear"], ["--pretrained", "x.weights"]):
        answer = train("x.data", "net.cfg", *words, *REFERENCE)
        assert answer.code == 0, answer.err
        assert "dialect alexeyab" in answer.err
        assert trained.read_bytes()[:12] == version
    asked = train("x.data", "net.cfg", "x.weights", "-clear", "--dialect", "darknet", *REFERENCE)
    assert "x.weights: dialect=darknet: version 0.2.5, which AlexeyAB's program writes" in asked.err
    assert trained.read_bytes()[:12] != version


def test_weights_are_gone_on_with_and_images_counted_on(train, folder):
    write_data(folder, valid=None)
    assert train("x.data", "net.cfg", *REFERENCE).code == 0
    shutil.copy(folder / "backup" / "net_last.weights", folder / "x.weights")
    again = train("x.data", "net.cfg", "x.weights", *REFERENCE)
    assert (again.code, again.complaints[-1]) == (
        2, "x.weights: already at max_batches=3, after 24 images; -clear, or clear=True, counts from 0",
    )  # fmt: skip
    more = train("x.data", "net.cfg", "x.weights", *REFERENCE, "--epochs", "2")
    assert [line.split(",")[0] for line in more.out.splitlines()[5:] if "avg" in line] == ["4", "5"]
    assert "what was there is kept as backup/net.checkpoint.~1~, backup/net_last.weights.~1~; --resume" in more.err
    assert (folder / "backup" / "net_last.weights.~1~").read_bytes() == (folder / "x.weights").read_bytes()
    cleared = train("x.data", "net.cfg", "x.weights", "-clear", *REFERENCE)
    assert [line.split(",")[0] for line in cleared.out.splitlines()[5:] if "avg" in line] == ["1", "2", "3"]


def test_a_log_tells_each_iteration_and_validation(train, folder):
    assert train("pics", "net.cfg", *REFERENCE, "--log", "x.jsonl").code == 0
    rows = [json.loads(line) for line in (folder / "x.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 4]
    assert all({"loss", "average", "rate", "waiting", "working", "epoch", "images"} <= row.keys() for row in rows[:4])
    assert {"top-1", "top-k", "best"} <= rows[4].keys()
    assert train("pics", "net.cfg", *REFERENCE, "--log", "x.csv").code == 0
    with (folder / "x.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["loss"]) for row in table[:4]] == [row["loss"] for row in rows[:4]]
    assert float(table[4]["top-1"]) == rows[4]["top-1"]


def test_pictures_can_be_looked_at(train, folder):
    answer = train("pics", "net.cfg", *REFERENCE, "--show-pictures", "shown")
    assert (answer.code, answer.out) == (0, "")
    shown = sorted((folder / "shown").iterdir())
    assert len(shown) == 64
    with Image.open(shown[0]) as image:
        assert image.size == (16, 16)
    assert not (folder / "backup" / "net.checkpoint").exists()


def test_a_run_that_cannot_begin_leaves_an_earlier_one_as_it_was(train, folder):
    assert train("pics", "net.cfg", *REFERENCE).code == 0
    backup = folder / "backup"
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    write_cfg(folder / "net.cfg", max_batches=4, learning_rate=0.03)
    for words, code in (
        (("--resume",), 1),
        (("--resume", "--holdout", "0.3"), 1),
        (("--freeze", "99"), 2),
        (("--show-pictures", "shown"), 0),
    ):
        answer = train("pics", "net.cfg", *REFERENCE, *words)
        assert answer.code == code, answer.err
        assert {path.name: path.read_bytes() for path in backup.iterdir()} == before
    answer = train("pics", "net.cfg", *REFERENCE)
    assert answer.code == 0
    assert re.search(r"kept as backup/net\.cfg\.~1~, .*net_last\.weights\.~1~; --resume would have gone on", answer.err)
    for name in before.keys() - {"net.checkpoint.lock"}:
        assert (backup / f"{name}.~1~").read_bytes() == before[name]


def test_weights_of_another_network_fill_the_first_layers_and_can_be_frozen(train, folder):
    write_cfg(folder / "five.cfg", outputs=5)
    assert train("pics", "net.cfg", *REFERENCE, "--backup", "first", "--seed", "9").code == 0
    words = ("pics", "five.cfg", "--pretrained", "first/net_last.weights", "--freeze", "5", "--epochs", "0.5")
    answer = train(*words, *REFERENCE)
    assert answer.code == 0
    assert "first/net_last.weights: weights of the first 8 layers of 8" in answer.err
    assert "frozen at random" not in answer.err
    before, after = (
        load_network(folder / f"{name}.cfg", folder / f"{name}_last.weights", "reference").parameters
        for name in ("first/net", "backup/five")
    )
    size = before.first(5).values.size
    np.testing.assert_array_equal(before.values[:size], after.values[:size])
    assert not np.array_equal(before.values[size:], after.values[size:])


def test_a_cfg_that_does_not_say_how_gets_a_recipe(train, folder):
    cfg = (folder / "net.cfg").read_text()
    for key in ("learning_rate", "momentum", "decay", "max_batches", "max_crop"):
        cfg = re.sub(f"{key}=.*\n", "", cfg)
    (folder / "net.cfg").write_text(cfg)
    answer = train("pics", "net.cfg", *REFERENCE, "--epochs", "1", "--rate", "0.01")
    assert answer.code == 0, answer.err
    message = "net.cfg does not say how to train, so this counts: batch=27 decay=0.0005 policy=cosine"
    assert f"darknet: {message}" in answer.err
    assert answer.out.splitlines()[2] == "Learning Rate: 0.01, Momentum: 0.9, Decay: 0.0005"
    assert answer.out.splitlines()[4] == "16 17"


def spoil(folder):
    (folder / "pics").unlink()
    draw_folders(folder / "pics", 3)


def test_pictures_that_cannot_be_read_are_all_named_before_anything_is_trained(train, folder):
    spoil(folder)
    (folder / "pics" / "circle" / "0001.png").write_bytes(b"no picture")
    (folder / "pics" / "triangle" / "0002.png").write_bytes(b"")
    answer = train("pics", "net.cfg", *REFERENCE)
    assert (answer.code, answer.out) == (1, "")
    assert [line.split(":")[0] for line in answer.complaints[-3:-1]] == [
        "pics/circle/0001.png",
        "pics/triangle/0002.png",
    ]
    assert answer.complaints[-1] == "2 of 9 images cannot be read; mend or remove them"


BOTH = "pics/circle/0000.png (circle, crescent)"
REFUSED = {
    "labels": (
        lambda folder: (folder / "x.names").write_text("circle\ncircle 0000\nnone\n"),
        ("x.data", "net.cfg"),
        r"train\.list: 14 of 20 images bear not one label, as words of .*: pics/crescent/0000\.png .*; and 4 more",
        1,
    ),
    "classes": (
        lambda folder: write_cfg(folder / "net.cfg", outputs=4),
        ("x.data", "net.cfg"),
        r"x\.data: classes: 3, but net\.cfg has 4 outputs; name the \.data file of this network",
        1,
    ),
    "no list": (
        lambda folder: write_data(folder, train=None),
        ("x.data", "net.cfg"),
        r"x\.data: train= is missing: the list of images to train on",
        1,
    ),
    "no end": (
        lambda folder: write_cfg(folder / "net.cfg", max_batches=0),
        ("x.data", "net.cfg"),
        r"net\.cfg:1: \[net\]: max_batches= is missing, or --epochs: when training ends",
        1,
    ),
    "subdivisions": (
        lambda folder: None,
        ("x.data", "net.cfg", "--subdivisions", "3"),
        r"net\.cfg: subdivisions=3: does not divide batch=8; darknet would train on fewer images",
        1,
    ),
    "no class folders": (
        lambda folder: (folder / "flat").mkdir(),
        ("flat", "net.cfg"),
        "flat: no folder in it; one for each class is expected, with its pictures",
        1,
    ),
    "no folder to write to": (
        lambda folder: (folder / "kept").write_text(""),
        ("x.data", "net.cfg", "--backup", "kept"),
        "kept: not a directory; name another folder for weights with --backup",
        2,
    ),
    "a log's name": (
        lambda folder: None,
        ("x.data", "net.cfg", "--log", "x.txt"),
        r"--log x\.txt: a name that ends in \.jsonl or \.csv is expected",
        2,
    ),
    "holdout and valid": (
        lambda folder: None,
        ("x.data", "net.cfg", "--valid", "valid.list", "--holdout", "0.5"),
        "holdout together with valid: images to validate are named, or drawn from those to train on",
        2,
    ),
    "a match in a folder": (
        lambda folder: None,
        ("pics", "net.cfg", "--match", "words"),
        "--match: is for lists; in a folder those below it are the classes",
        2,
    ),
    "a part of 1": (
        lambda folder: None,
        ("x.data", "net.cfg", "--holdout", "1"),
        "--holdout: 1: less than 1 is expected, a part of the images; see darknet classifier train --help",
        2,
    ),
    "a rate of 0": (
        lambda folder: None,
        ("x.data", "net.cfg", "--rate", "0"),
        "--rate: 0: more than 0 is expected; see darknet classifier train --help",
        2,
    ),
    "weights and pretrained": (
        lambda folder: None,
        ("x.data", "net.cfg", "x.weights", "--pretrained", "y.weights"),
        "weights together with pretrained: the one fills all layers, the other the first ones",
        2,
    ),
    "several GPUs": (
        lambda folder: None,
        ("x.data", "net.cfg", "-gpus", "0,1"),
        "-gpus: a flag of darknet's training on several GPUs, which this program does not do: leave it out",
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_trained(train, folder, name):
    write_data(folder)
    prepare, words, message, code = REFUSED[name]
    prepare(folder)
    answer = train(*words, *REFERENCE)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert re.fullmatch(message, answer.complaints[-1])
    assert "Traceback" not in answer.err


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_what_does_not_fit_is_refused_with_the_subdivisions_to_take(train, folder):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.RLIM_INFINITY))

    write_cfg(folder / "net.cfg", batch=4096, max_batches=1, width=224, height=224, max_crop=224)
    answer = train("pics", "net.cfg", *REFERENCE, preexec_fn=limit)
    assert answer.code == 2
    message = r"net\.cfg: [\d.]+ GiB to train on 4096 images at a time, more than .*; take --subdivisions (\d+)"
    enough = re.fullmatch(message, answer.complaints[-1])
    assert enough, answer.err
    assert 4096 % int(enough[1]) == 0
