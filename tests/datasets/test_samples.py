"""Images of a list with their classes, and what is odd about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample, label_samples, load_samples
from darknet_py.errors import DarknetWarning, DatasetError, UsageError


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A data set whose file lies in cfg/ below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cfg").mkdir()
    return Dataset("cfg/x.data", 2, ["a", "b"], ["a", "b"], 1, path=tmp_path / "cfg" / "x.data")


@pytest.fixture
def write(dataset):
    """Write a list."""

    def write(content):
        Path("x.list").write_bytes(content)

    return write


def test_samples_have_the_classes_that_their_paths_tell(write, dataset):
    write(b"a/1.png\nb/2.png\n")
    assert load_samples("x.list", dataset) == [Sample("a/1.png", 0), Sample("b/2.png", 1)]
    assert load_samples(Path("x.list"), dataset, match=None) == [Sample("a/1.png"), Sample("b/2.png")]


def test_samples_of_a_folder_are_found_in_it(dataset):
    for name in ("x/a.png", "x/deep/b.png", "x/b.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    truths = {Path(sample.file).name: sample.truth for sample in load_samples("x", dataset)}
    assert truths == {"a.png": 0, "b.png": 1}


def test_what_is_odd_about_samples_is_told(write, dataset):
    write(b"a/1.png\nc/2.png\n")
    says = r"^x\.list: 1 images do not count, e\.g\. c/2\.png: no label is a word of its name or folder$"
    with pytest.warns(DarknetWarning, match=says):
        assert [sample.truth for sample in load_samples("x.list", dataset)] == [0, -1]
    write(b"a/1.png\na/1.png\n")
    with pytest.warns(DarknetWarning, match=r"^x\.list: 1 of 2 paths repeat others; they count each time$"):
        load_samples("x.list", dataset)


def test_samples_none_of_which_has_a_class_are_refused(write, dataset):
    write(b"c/2.png\n")
    says = r"^x\.list: no image's class is known, e\.g\. c/2\.png: .*; labels are such as a$"
    with pytest.raises(DatasetError, match=says):
        load_samples("x.list", dataset)


def test_an_unknown_way_to_match_is_refused(write, dataset):
    write(b"a/1.png\n")
    with pytest.raises(UsageError, match=r"^match=word: one of words, substring is expected$"):
        load_samples("x.list", dataset, match="word")


@pytest.mark.parametrize("source", ["pics", "x.list"])
def test_in_a_folder_for_each_class_that_one_counts_whatever_a_name_says(write, dataset, source):
    paths = ["pics/a/b.png", "pics/a/b/1.png", "pics/a/deep/er/2.png", "pics/b/b.png", "pics/c/a.png"]
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    write("\n".join([*paths, "elsewhere/a.png"]).encode())
    samples = load_samples(source, replace(dataset, folder="pics" if source == "x.list" else ""))
    assert [sample.truth for sample in samples] == [0, 0, 0, 1, 0, *([0] if source == "x.list" else [])]


def test_as_a_substring_folders_for_classes_count_no_more_than_others(dataset):
    assert label_samples(["pics/b/a.png"], ["a", "b"], "substring", ["pics"])[0].truth == 0
