"""The class that a path says its image is of."""

from __future__ import annotations

import pytest

from darknet_py.datasets.labels import Folder, find_classes
from darknet_py.datasets.samples import label_samples

LABELS = ["rain", "n01", "n02", "half track", "half", "cup", "cup", "tea cup", "--"]


def label(path, match="words", labels=LABELS):
    (sample,) = label_samples([path], labels, match)
    assert sample.file == path
    return sample.truth, sample.doubt


@pytest.mark.parametrize(
    ("path", "truth"),
    [
        ("n01.png", 1),
        ("n01_stingray.JPEG", 1),
        ("0007.n02.png", 2),
        ("train/n01/7.JPEG", 1),
        ("train/n02.JPEG", 2),
        ("n02/train/n01.JPEG", 1),
        ("n02/n01/7.JPEG", 1),
        ("n01//7.JPEG", 1),
        ("n01/n01_7.JPEG", 1),
        ("n01_n01.png", 1),
        ("C:\\pictures\\n02\\7.png", 2),
        ("rain/7.png", 0),
        ("brain/rain-7.png", 0),
        ("half_track.png", 3),
        ("a half  track.png", 3),
        ("half.png", 4),
        ("track-half.png", 4),
        ("half/track.png", 4),
        ("7.tea-cup.png", 7),
        ("n010/n01/n012.png", 1),
    ],
)
def test_a_label_is_looked_for_as_words_of_the_name_and_of_its_folder(path, truth):
    assert label(path) == (truth, "")


NONE = "no label is a word of its name or folder"


@pytest.mark.parametrize(
    ("path", "doubt"),
    [
        ("train/7.png", NONE),
        ("n010.png", NONE),
        ("xn01.png", NONE),
        ("N01.png", NONE),
        ("n01/deeper/7.png", NONE),
        ("--.png", NONE),
        ("", NONE),
        ("n01/n02.png", "labels of 2 classes in its name or folder: n01, n02"),
        ("n02_n01.png", "labels of 2 classes in its name or folder: n01, n02"),
        ("cup.png", "labels of 2 classes in its name or folder: cup, cup"),
        ("half_track/half.png", "labels of 2 classes in its name or folder: half track, half"),
        ("rain/n01_n02.png", "labels of 3 classes in its name or folder: rain, n01 and 1 more"),
    ],
)
def test_a_path_that_fits_no_class_or_several_says_so(path, doubt):
    assert label(path) == (-1, doubt)


FOLDERS = [Folder(name, f"/{name}", lambda path: f"/{path}") for name in ("pics", "pics/n02")]


@pytest.mark.parametrize(
    ("path", "classes"),
    [
        ("pics/n01/n02.png", [1]),
        ("pics/ n01 /7.png", [1]),
        ("./pics//n01/deep/7.png", [1]),
        ("pics/n02/rain/n01.png", [2]),
        ("pics/cup/7.png", [5, 6]),
        ("pics/none/n01.png", [1]),
        ("pics/n01.png", [1]),
        ("pics/half track.n01.png", [1, 3]),
        ("pics", []),
        ("picsn01/7.png", []),
    ],
)
def test_the_first_folder_with_one_for_each_class_tells_what_lies_in_it(path, classes):
    assert [*find_classes(LABELS, "words", FOLDERS)(path)] == classes


def test_a_blank_label_is_no_folders_name():
    assert [*find_classes(["", "a"], "words", FOLDERS)("pics/ /a.png")] == [1]


def test_labels_in_any_script_are_words():
    assert label("bilder/größe_7.png", labels=["gr", "größe", "e"]) == (1, "")


def test_without_any_label_made_of_words_no_class_is_known():
    assert label("7.png", labels=["-", "--"]) == (-1, NONE)


@pytest.mark.parametrize(
    ("path", "truth"),
    [("train/n01.png", 0), ("n02/deep/er/7.png", 2), ("n02/n01.png", 1), ("xn010.png", 1), ("cup.png", 5), ("7", -1)],
)
def test_as_a_substring_the_first_label_anywhere_counts_and_nothing_is_in_doubt(path, truth):
    assert label(path, "substring") == (truth, "")
