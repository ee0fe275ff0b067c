""".data files and lists of names."""

from __future__ import annotations

import pytest

from darknet_py.dataset import find_listed, load_dataset
from darknet_py.errors import DarknetWarning, DatasetError

NAMES = "tabby\nsiamese cat\n\n  tiger cat  \nlynx\n"
LABELS = "n01\nn02\nn03\nn04\n"


@pytest.fixture
def load(tmp_path):
    """Load a .data file with this text, which lies in cfg/ beside data/ with the lists."""
    (tmp_path / "cfg").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "names.list").write_text(NAMES)
    (tmp_path / "data" / "labels.list").write_text(LABELS)

    def load(text):
        path = tmp_path / "cfg" / "x.data"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_dataset(path)

    return load


FULL = "# cats\nclasses = 3\nlabels=data/labels.list\nnames = data/names.list\nvalid=no/such.list\ntop = 2\n"


@pytest.mark.parametrize("text", [FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL], ids=["lf", "crlf", "bom"])
def test_names_and_labels_are_the_first_lines_that_are_not_blank(load, text):
    dataset = load(text)
    assert (dataset.classes, dataset.top) == (3, 2)
    assert dataset.names == ["tabby", "siamese cat", "tiger cat"]
    assert dataset.wnids == ["n01", "n02", "n03"]


def test_defaults_are_two_classes_and_one_guess(load):
    dataset = load("names=data/names.list")
    assert (dataset.classes, dataset.top) == (2, 1)


@pytest.mark.parametrize(("key", "first"), [("names", "tabby"), ("labels", "n01")])
def test_names_and_labels_stand_for_each_other(load, key, first):
    dataset = load(f"{key}=data/{key}.list")
    assert dataset.names == dataset.wnids
    assert dataset.names[0] == first


def test_packaged_imagenet_has_its_thousand_classes():
    dataset = load_dataset()
    assert (dataset.classes, dataset.top) == (1000, 5)
    assert len(dataset.names) == len(dataset.wnids) == 1000
    index = dataset.names.index("malamute")
    assert dataset.wnids[index] == "n02110063"


def test_of_a_folder_its_imagenet1k_is_taken(load, tmp_path):
    load(FULL)
    (tmp_path / "cfg" / "x.data").rename(tmp_path / "cfg" / "imagenet1k.data")
    assert load_dataset(tmp_path / "cfg").classes == 3


def test_first_value_of_a_repeated_key_counts_with_a_warning(load):
    with pytest.warns(DarknetWarning, match=r"x\.data:7: top=1: repeated; the first value, 2, counts"):
        assert load(FULL + "top=1\n").top == 2


def test_of_more_guesses_than_classes_as_many_as_there_are_count_with_a_warning(load):
    with pytest.warns(DarknetWarning, match=r"x\.data:2: top=5: more than the 2 classes; 2 is taken"):
        assert load("names=data/names.list\ntop=5").top == 2


def test_lists_that_are_not_utf_8_are_latin_1(load, tmp_path):
    (tmp_path / "data" / "names.list").write_bytes(b"caf\xe9\nb\n")
    assert load("names=data/names.list").names == ["café", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key = value line"),
        ("# nothing\n", "no key = value line"),
        ("classes\n", ":1: classes: key=value is expected"),
        ("classes=\n", ":1: classes=: a key or a value is missing"),
        ("classes=3\n", "names= is missing"),
        ("names=data/none.list", "x.data:1: names=data/none.list: data/none.list: no such file"),
        ("names=data", "is a folder"),
        ("classes=5\nnames=data/names.list", ":2: names=data/names.list: 4 names; classes=5 asks for as many"),
        ("classes=0\nnames=data/names.list", ":1: classes=0: at least 1 is expected"),
        ("classes=many\nnames=data/names.list", ":1: classes=many: not a number"),
        ("names=data/names.list\ntop=0", ":2: top=0: at least 1 is expected"),
        (b"names=\x00", "byte 0x00: not a text file"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(load, text, message):
    with pytest.raises(DatasetError) as error:
        load(text)
    assert message in str(error.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        load_dataset(tmp_path / "none.data")


def test_network_must_have_as_many_outputs_as_there_are_classes(load):
    dataset = load(FULL)
    dataset.check_outputs(3, "x.cfg")
    with pytest.raises(DatasetError, match=r"classes: 3, but x\.cfg has 1000 outputs"):
        dataset.check_outputs(1000, "x.cfg")


def test_listed_files_are_sought_from_here_then_above_the_data_file(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "a.list").touch()
    (there / "data" / "b.list").touch()
    monkeypatch.chdir(here)
    data_file = there / "cfg" / "x.data"
    assert find_listed("data/a.list", data_file).absolute() == here / "data" / "a.list"
    assert find_listed("data/b.list", data_file) == there / "data" / "b.list"
    assert find_listed("data/imagenet.labels.list", data_file).exists()  # packaged


def test_a_listed_file_without_a_name_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"^'': a name is expected, of a file or a folder$"):
        find_listed("", tmp_path / "cfg" / "x.data")
