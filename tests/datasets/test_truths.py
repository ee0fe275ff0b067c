"""Each image's one class, and what is reported where images have none or several."""

from __future__ import annotations

from pathlib import Path

import pytest

from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.samples import Sample
from darknet_py.datasets.truths import Offender, count_classes, describe_offenders, find_truths, load_training
from darknet_py.errors import DatasetError, UsageError

LABELS = ["person", "noperson", "cat", "house cat"]


def test_a_label_is_not_found_within_another():
    samples, offenders = find_truths(
        ["noperson/1.png", "person_2.png", "house-cat.3.png", "cat/4.png"], LABELS, "words"
    )
    assert [sample.truth for sample in samples] == [1, 0, 3, 2]
    assert not offenders


def test_who_bears_no_label_or_several_is_an_offender():
    paths = ["cat/person.png", "dog/1.png", "cat/2.png", "house_cat/cat.png"]
    samples, offenders = find_truths(paths, LABELS, "words")
    assert samples == [Sample("cat/2.png", 2)]
    assert offenders == [
        Offender("cat/person.png", ("person", "cat")),
        Offender("dog/1.png", ()),
        Offender("house_cat/cat.png", ("cat", "house cat")),
    ]


def test_as_a_substring_every_label_anywhere_counts():
    samples, offenders = find_truths(["cats/deep/1.png", "noperson/2.png"], LABELS, "substring")
    assert samples == [Sample("cats/deep/1.png", 2)]
    assert offenders == [Offender("noperson/2.png", ("person", "noperson"))]


@pytest.mark.parametrize("match", ["words", "substring"])
def test_of_one_class_an_image_may_be_none(match):
    samples, offenders = find_truths(["cat/1.png", "dog/2.png"], ["cat"], match)
    assert samples == [Sample("cat/1.png", 0), Sample("dog/2.png", -1)]
    assert not offenders


def test_ten_offenders_are_named_and_the_others_counted():
    offenders = [Offender(f"{number}.png", ("a", "b") if number else ("", "x")) for number in range(12)]
    said = describe_offenders(offenders, 40, "words")
    assert said.startswith(
        "12 of 40 images bear not one label, as words of a file's name or its folder's: "
        "0.png (an empty line, x); 1.png (a, b); 2.png (a, b); "
    )
    assert said.endswith("; 9.png (a, b); and 2 more")
    assert describe_offenders([Offender("x.png", ())], 2, "substring") == (
        "1 of 2 images bear not one label, anywhere in a path: x.png (none)"
    )


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Dataset("x.data", 2, ["a", "b"], ["a", "b"], 1, path=tmp_path / "x.data")


def test_a_list_to_train_on_is_refused_where_a_truth_is_in_doubt(dataset):
    Path("x.list").write_text("a/1.png\nb/2.png\na/b.png\n")
    says = r"^x\.list: 1 of 3 images bear not one label, as words of a file's name or its folder's: a/b\.png \(a, b\)$"
    with pytest.raises(DatasetError, match=says):
        load_training("x.list", dataset)
    Path("x.list").write_text("a/1.png\nb/2.png\n")
    assert load_training(Path("x.list"), dataset) == [Sample("a/1.png", 0), Sample("b/2.png", 1)]


def test_an_unknown_way_to_match_is_refused():
    with pytest.raises(UsageError, match=r"^match=word: one of words, substring is expected$"):
        find_truths(["a.png"], ["a"], "word")


def test_samples_are_counted_by_class():
    samples = [Sample("", truth) for truth in (2, 0, 2, -1)]
    assert count_classes(samples, 4) == [1, 0, 2, 0]
