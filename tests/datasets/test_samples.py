"""Images of a list with their classes, and what is odd about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample, check_samples, load_samples
from darknet_py.errors import DarknetWarning, DatasetError, UsageError


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A data set whose file is in cfg/ below the working directory."""
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


def touch(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


PATHS = ["pics/a/b.png", "pics/a/b/1.png", "pics/a/deep/er/2.png", "pics/b/b.png"]


@pytest.mark.parametrize(("source", "folder"), [("pics", ""), ("x.list", "pics")])
def test_in_a_folder_for_each_class_that_one_counts_whatever_a_name_says(write, dataset, source, folder):
    touch(*PATHS)
    write("\n".join(PATHS).encode())
    samples = load_samples(source, replace(dataset, folder=folder))
    assert [sample.truth for sample in samples] == [0, 0, 0, 1]


def test_beside_the_folder_that_a_data_file_names_words_count(write, dataset):
    touch(*PATHS)
    write(b"pics/c/a.png\npics/b/a.png\npics/b\nelsewhere/a.png\n")
    samples = load_samples("x.list", replace(dataset, folder="pics"))
    assert [sample.truth for sample in samples] == [0, 1, 1, 0]


@pytest.mark.parametrize("absolute", [False, True])
def test_classes_are_the_same_wherever_one_stands(write, dataset, absolute, tmp_path, monkeypatch):
    touch(*PATHS)
    write("\n".join(PATHS).encode())
    named = replace(dataset, folder=str(tmp_path / "pics") if absolute else "pics")
    expected = load_samples("x.list", named)
    monkeypatch.chdir("/")
    assert load_samples("x.list", named) == expected
    assert [sample.truth for sample in load_samples("pics", dataset)] == [0, 0, 0, 1]


@pytest.mark.parametrize("folders", [["train"], ["train", "test"], ["a", "c"]])
def test_folders_that_are_parts_of_a_set_or_no_classes_are_passed_over(dataset, folders):
    touch(*(f"set/{folder}/b/1.png" for folder in folders))
    labels = ["a", "b", "train", "test"]
    samples = load_samples("set", replace(dataset, classes=4, names=labels, wnids=labels))
    assert [sample.truth for sample in samples] == [1] * len(folders)


def test_a_folder_that_is_not_there_is_told_of(write, dataset):
    write(b"none/b/a.png\na.png\n")
    with pytest.warns(DarknetWarning, match=r"^cfg/x\.data: folder=none: no such folder; a picture's class is looked"):
        samples = load_samples("x.list", replace(dataset, folder="none"))
    assert [sample.truth for sample in samples] == [1, 0]


def test_as_a_substring_folders_for_classes_count_no_more_than_others(write, dataset):
    touch(*PATHS)
    write(b"pics/b/a.png\n")
    assert load_samples("x.list", replace(dataset, folder="pics"), "substring")[0].truth == 0


@pytest.mark.parametrize("truth", [1.5, 1.0, float("nan"), "1", None])
def test_a_class_is_a_whole_number(truth):
    check_samples([Sample("a.png", 1), Sample("a.png", np.int64(1))])
    with pytest.raises(UsageError, match=r"^samples: a\.png: class .*; a whole number is expected$"):
        check_samples([Sample("a.png", truth)])
