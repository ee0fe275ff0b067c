"""`predict --annotate` and `--heatmap`: pictures to look at."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support import random_parameters

from darknet_py import load_network, save_weights
from darknet_py.cli import main
from darknet_py.commands import gallery
from darknet_py.errors import NO_MEMORY_TO_DRAW, CfgError

STAR = ROOT / "data" / "star.png"
COMMAND = ("classifier", "predict", "shapes")
FOLDER = "a folder that can be written is expected"


@pytest.fixture
def predict(tmp_path, monkeypatch, capsys):
    """Run ``darknet classifier predict shapes`` in an empty folder; its exit code, and the last line on stderr."""
    monkeypatch.chdir(tmp_path)

    def predict(*arguments):
        code = main([*COMMAND, *map(str, arguments), "--engine", "reference"])
        return code, capsys.readouterr().err.splitlines()[-1]

    return predict


def test_each_picture_is_written_with_its_guesses_and_where_it_was_looked_at(predict, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "Star.jpg").write_bytes(STAR.read_bytes())
    (tmp_path / "bad.png").write_bytes(b"")
    code, _ = predict(STAR, "sub/Star.jpg", "bad.png", "--annotate", "out", "--heatmap", "out", "-t", "3")
    assert code == 3
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["Star-2.annotated.png", "Star-2.heatmap.png", "star.annotated.png", "star.heatmap.png"]
    picture = np.asarray(Image.open(STAR).convert("RGB"))
    height, width = picture.shape[:2]
    annotated = np.asarray(Image.open(tmp_path / "out" / "star.annotated.png"))
    left = (annotated.shape[1] - width) // 2
    np.testing.assert_array_equal(annotated[-1, left : left + width], picture[-1])
    heated = np.asarray(Image.open(tmp_path / "out" / "star.heatmap.png"))
    np.testing.assert_array_equal(heated[:height, :width], picture)


def test_pictures_that_lie_in_the_folder_stay(predict, tmp_path):
    (tmp_path / "star.png").write_bytes(STAR.read_bytes())
    assert predict("star.png", "--annotate", ".")[0] == 0
    assert (tmp_path / "star.png").read_bytes() == STAR.read_bytes()
    before = (tmp_path / "star.annotated.png").read_bytes()
    assert predict("star.png", "--annotate", ".")[0] == 0
    assert (tmp_path / "star.annotated.png").read_bytes() == before


def test_a_users_own_file_stays_whatever_it_is_called(predict, tmp_path):
    (tmp_path / "star.annotated.png").write_bytes((ROOT / "data" / "heart.png").read_bytes())
    for _ in range(2):
        assert predict(STAR, "star.annotated.png", "--annotate", ".")[0] == 0
        assert (tmp_path / "star.annotated.png").read_bytes() == (ROOT / "data" / "heart.png").read_bytes()
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"star.annotated.png", "star-2.annotated.png", "star.annotated.annotated.png"}


def test_long_names_are_cut(predict, tmp_path):
    name = "ä" * 120 + ".png"
    (tmp_path / name).write_bytes(STAR.read_bytes())
    assert predict(name, "--annotate", "out")[0] == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [(CfgError("9 GiB to run", file="x.cfg"), "x.cfg: 9 GiB to run"), (MemoryError(), NO_MEMORY_TO_DRAW)],
)
def test_a_picture_that_cannot_be_drawn_ends_nothing(predict, tmp_path, monkeypatch, capsys, error, says):
    draw_heat = gallery.draw_heat

    def draw(network, picture, *asked):
        if picture.shape[0] == 20:
            raise error
        return draw_heat(network, picture, *asked)

    monkeypatch.setattr(gallery, "draw_heat", draw)
    Image.new("RGB", (20, 20)).save(tmp_path / "large.png")
    code = main([*COMMAND, "large.png", str(STAR), "--heatmap", "out", "--format", "jsonl", "--engine", "reference"])
    out, err = capsys.readouterr()
    assert code == 3
    assert f"\ndarknet: large.png: {says}\n" in err
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["large.png", str(STAR)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["star.heatmap.png"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--annotate", "star.png"), f"--annotate star.png: not a directory; {FOLDER}"),
        (("--heatmap", "/proc/x"), f"--heatmap /proc/x: no such file or directory; {FOLDER}"),
        (("--annotate", "/proc"), f"--annotate /proc: no such file or directory; {FOLDER}"),  # which takes no files
        (("--layer", "3"), "--layer 3: says where --heatmap looks, which is missing"),
        (("--heatmap", "out", "--layer", "99"), "cfg/shapes.cfg: layer 99: it has 17 layers, from 0"),
        (("--heatmap", "out", "--layer", "15"), "cfg/shapes.cfg: layer 15 has a plane of one cell: nothing to look at"),
        (("--heatmap", "out", "--layer", "-1"), "cfg/shapes.cfg: layer 16 has a plane of one cell: nothing to look at"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_before_anything_is_answered(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "star.png").write_bytes(STAR.read_bytes())
    code = main([*COMMAND, "star.png", *words, "--engine", "reference"])
    out, err = capsys.readouterr()
    assert (code, out, err.splitlines()[-1]) == (2, "", f"darknet: {says}")
    assert not (tmp_path / "out").exists()


def test_a_plane_that_larger_pictures_have_alone_is_drawn_of_these(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "[net]\nwidth=4\nheight=4\nchannels=3\n[convolutional]\nfilters=1000\nsize=4\nstride=4\nactivation=linear\n"
    (tmp_path / "x.cfg").write_text(text + "[avgpool]\n[softmax]\n")
    save_weights("x.weights", random_parameters(load_network("x.cfg").layers))
    for name, width in (("square.png", 4), ("wide.png", 8)):
        Image.new("RGB", (width, 4), (9, 99, 200)).save(name)
    command = ["classifier", "predict", "x.cfg", "x.weights", "square.png", "wide.png", "--heatmap", "out"]
    assert main([*command, "--engine", "reference", "--format", "jsonl"]) == 3
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "\ndarknet: square.png: x.cfg: no convolution has a plane to look at\n" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wide.heatmap.png"]
    assert main([*command, "--engine", "reference", "--preprocess", "center-crop"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "darknet: x.cfg: no convolution has a plane to look at")
