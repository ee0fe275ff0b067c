"""A folder with a folder for each class."""

from __future__ import annotations

import os

import pytest

from darknet_py.datasets.folder import load_folder
from darknet_py.datasets.samples import Sample
from darknet_py.errors import DarknetWarning, DatasetError


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make empty files, and the folders that they are in."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def test_classes_and_pictures_are_sorted(make):
    make("x/dog/b.png", "x/dog/a.jpg", "x/cat/1.png", "x/Zebra/1.png", "x/a b/1.png")
    names, samples = load_folder("x")
    assert names == ["Zebra", "a b", "cat", "dog"]
    assert samples == [
        Sample("x/Zebra/1.png", 0),
        Sample("x/a b/1.png", 1),
        Sample("x/cat/1.png", 2),
        Sample("x/dog/a.jpg", 3),
        Sample("x/dog/b.png", 3),
    ]


def test_pictures_in_folders_within_a_class_are_of_it(make):
    make("x/a/deep/er/1.png", "x/a/2.png", "x/b/3.PNG")
    assert load_folder("x").samples == [Sample("x/a/2.png", 0), Sample("x/a/deep/er/1.png", 0), Sample("x/b/3.PNG", 1)]


def test_hidden_files_and_those_that_are_no_pictures_are_passed_over(make):
    make("x/a/1.png", "x/a/._1.png", "x/a/notes.txt", "x/a/Thumbs.db", "x/a/.cache/2.png", "x/b/3.png", "x/.git/4.png")
    make("x/README")
    assert [sample.file for sample in load_folder("x").samples] == ["x/a/1.png", "x/b/3.png"]


def test_pictures_beside_the_class_folders_are_told(make):
    make("x/a/1.png", "x/b/2.png", "x/3.png", "x/4.JPG", "x/c.png/5.png")
    with pytest.warns(DarknetWarning, match=r"^x: 2 pictures lie in no class's folder and are left out$"):
        assert len(load_folder("x").samples) == 3


def test_names_that_differ_in_case_alone_are_told(make):
    make("x/cat/1.png", "x/Cat/2.png")
    if len(os.listdir("x")) == 1:
        pytest.skip("this file system knows no case")
    with pytest.warns(
        DarknetWarning, match="^x: Cat and cat are two classes, though only upper and lower case differ$"
    ):
        assert load_folder("x").names == ["Cat", "cat"]


def test_links_are_followed_and_of_those_that_lead_nowhere_whoever_reads_them_tells(make):
    make("x/a/1.png", "far/2.png", "deep/3.png")
    os.symlink("../far", "x/b")
    os.symlink("../../deep", "x/a/more")
    os.symlink("../far/2.png", "far/4.png")
    os.symlink("nowhere", "x/a/5.png")
    assert load_folder("x").samples == [
        Sample("x/a/1.png", 0),
        Sample("x/a/5.png", 0),
        Sample("x/a/more/3.png", 0),
        Sample("x/b/2.png", 1),
        Sample("x/b/4.png", 1),
    ]


def test_a_link_that_leads_back_is_refused(make):
    make("x/a/1.png", "x/b/2.png")
    os.symlink("..", "x/b/up")
    with pytest.raises(DatasetError, match=r"^x/b/up: a link to a folder that it is in$"):
        load_folder("x")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((), "x: no such file or directory"),
        (("x",), "x: not a directory"),
        (("x/1.png",), "x: no folder in it; one for each class is expected, with its pictures"),
        (
            ("x/a/1.png",),
            "x: a is the only folder in it; at least two classes are expected, a folder for each",
        ),
        (
            ("x/train/a/1.png", "x/Val/a/1.png"),
            "x: its folders are Val, train: parts of a data set, no classes; name one of them",
        ),
        (("x/a/1.png", "x/b/1.txt", "x/c/.1.png"), "x: no picture in b, c; a class has at least one"),
        (
            ("x/a/1.png", *(f"x/b{number}/1.txt" for number in range(12))),
            "x: no picture in b0, b1, b10, b11, b2, b3, b4, b5, b6, b7 and 2 more; a class has at least one",
        ),
    ],
)
def test_folders_without_classes_are_refused(make, files, says):
    make(*files)
    with pytest.raises(DatasetError) as refused:
        load_folder("x")
    assert str(refused.value) == says
