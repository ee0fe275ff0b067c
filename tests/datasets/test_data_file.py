""".data files and lists of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from darknet_py.datasets.data_file import Dataset, find_listed, load_dataset
from darknet_py.datasets.lists import load_list
from darknet_py.errors import DarknetWarning, DatasetError

NAMES = "tabby\nsiamese cat\n  tiger cat  \nlynx\n\n \n"
LABELS = "n01\nn02\nn03\nn04\n"


@pytest.fixture
def load(tmp_path):
    """Load a .data file with this text, in cfg/, next to data/ with the lists."""
    (tmp_path / "cfg").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "names.list").write_text(NAMES)
    (tmp_path / "data" / "labels.list").write_text(LABELS)
    (tmp_path / "data" / "empty.list").write_text("\n\n")

    def load(text):
        path = tmp_path / "cfg" / "x.data"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_dataset(path)

    return load


FULL = "# cats\nclasses = 3\nlabels=data/labels.list\nnames = data/names.list\nvalid=no/such.list\ntop = 2\n"


@pytest.mark.parametrize("text", [FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL], ids=["lf", "crlf", "bom"])
def test_names_and_labels_are_the_first_lines(load, text):
    dataset = load(text)
    assert (dataset.classes, dataset.top) == (3, 2)
    assert dataset.names == ["tabby", "siamese cat", "tiger cat"]
    assert dataset.wnids == ["n01", "n02", "n03"]


def test_without_classes_there_are_as_many_as_names_and_it_is_told(load):
    says = r"x\.data:1: names=data/names\.list: classes= is missing; its 4 names count$"
    with pytest.warns(DarknetWarning, match=says):
        dataset = load("names=data/names.list")
    assert (dataset.classes, dataset.top, len(dataset.names)) == (4, 1, 4)


@pytest.mark.parametrize(("key", "first"), [("names", "tabby"), ("labels", "n01")])
def test_names_and_labels_stand_for_each_other(load, key, first):
    dataset = load(f"classes=4\n{key}=data/{key}.list")
    assert dataset.names == dataset.wnids
    assert dataset.names[0] == first


@pytest.mark.parametrize(
    ("content", "names", "says"),
    [
        ("a\n\nc\nd\n", ["a", "", "c"], "1 of 3 are blank, the first on line 2"),
        ("\n \t\nc\nd\n", ["", "", "c"], "2 of 3 are blank, the first on line 1"),
        ("a\r\n\r\nc\r\n", ["a", "", "c"], "1 of 3 are blank, the first on line 2"),
    ],
)
def test_a_blank_line_within_names_keeps_its_place_and_is_told(load, tmp_path, content, names, says):
    (tmp_path / "data" / "names.list").write_bytes(content.encode())
    with pytest.warns(DarknetWarning, match=rf"x\.data:2: names=data/names\.list: {says}$"):
        assert load("classes=3\nnames=data/names.list").names == names


def test_blank_lines_behind_the_classes_do_not_matter(load, tmp_path):
    (tmp_path / "data" / "names.list").write_text("a\nb\n\nd\n")
    assert load("classes=2\nnames=data/names.list").names == ["a", "b"]


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


def test_how_pictures_are_fitted_may_be_said(load):
    assert load("classes=4\nnames=data/names.list\n preprocess = stretch # as trained\n").preprocess == "stretch"
    assert load("classes=4\nnames=data/names.list\n").preprocess == ""


def test_of_more_guesses_than_classes_as_many_as_there_are_count_with_a_warning(load):
    with pytest.warns(DarknetWarning, match=r"x\.data:2: top=5: more than the 2 classes; 2 is taken"):
        assert load("classes=2\ntop=5\nnames=data/names.list").top == 2


def test_lists_that_are_not_utf_8_are_latin_1(load, tmp_path):
    (tmp_path / "data" / "names.list").write_bytes(b"caf\xe9\nb\n")
    assert load("classes=2\nnames=data/names.list").names == ["café", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key = value line"),
        ("# nothing\n", "no key = value line"),
        ("classes\n", ":1: classes: key=value is expected"),
        ("clases 3\nnames=data/names.list", ":1: clases 3: key=value is expected"),
        ("classes=\n", ":1: classes=: a key or a value is missing"),
        ("classes=3\n", "names= is missing"),
        ("names=data/none.list", "x.data:1: names=data/none.list: data/none.list: no such file"),
        ("names=data", "is a folder"),
        ("names=" + "x" * 60_000, f":1: names={'x' * 51}...: {'x' * 509}...: file name too long"),
        ("classes=5\nnames=data/names.list", ":2: names=data/names.list: 4 names; classes=5 asks for as many"),
        ("names=data/empty.list", ":1: names=data/empty.list: an empty list; one name a line is expected"),
        ("classes=0\nnames=data/names.list", ":1: classes=0: at least 1 is expected"),
        ("classes=many\nnames=data/names.list", ":1: classes=many: not a number"),
        ("classes=2\nnames=data/names.list\ntop=0", ":3: top=0: at least 1 is expected"),
        ("classes=4 four\nnames=data/names.list", ":1: classes=4 four: not a number"),
        (
            "classes=4\nnames=data/names.list\npreprocess=crop",
            ":3: preprocess=crop: one of shorter, letterbox, center-crop, st",
        ),
        ("classes=2147483648\nnames=data/names.list", ":1: classes=2147483648: too large"),
        ("names=" + "x" * 70_000, ":1: a line of 70006 characters"),
        (b"names=\x00", "byte 0x00: not a text file"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(load, text, message):
    with pytest.raises(DatasetError) as error:
        load(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("backup=", "backup=: a key or a value is missing; ignored"),
        ("valid =", "valid =: a key or a value is missing; ignored"),
        ("1", "1: key=value is expected; ignored"),
        ("of cats", "of cats: key=value is expected; ignored"),
        ("lables=x", "lables=x: unknown key, ignored; did you mean labels?"),
    ],
)
def test_what_says_nothing_is_told_and_passed_over(load, line, says):
    with pytest.warns(DarknetWarning) as told:
        dataset = load(f"{line}\nclasses=3\nnames=data/names.list")
    assert [str(warning.message).partition("x.data:1: ")[2] for warning in told] == [says]
    assert dataset.lists == {}


@pytest.mark.parametrize("mark", "#;")
def test_a_comment_behind_a_value_is_none_of_it(load, mark):
    text = "classes=3 # three\nnames = data/names.list # of cats\ntop=2#\ntrain=t # u\nvalid=a.list\t# b\ntest=c#d\n"
    dataset = load(text.replace("#", mark))
    assert (dataset.classes, dataset.names[0], dataset.top) == (3, "tabby", 2)
    assert dataset.lists == {"train": "t", "valid": "a.list", "test": f"c{mark}d"}


def test_a_file_whose_name_has_such_a_comment_is_found(load, tmp_path):
    (tmp_path / "data" / "names # 2").write_text("x\ny\nz\n")
    assert load("classes=3\nnames=data/names # 2").names == ["x", "y", "z"]


@pytest.mark.parametrize("line", ["key{}=1\n", "1\n", "top=1\n"], ids=["keys", "strays", "repeated"])
def test_of_many_lines_that_say_nothing_the_first_are_told(load, line, recwarn):
    load("classes=3\ntop=1\nnames=data/names.list\n" + "".join(line.format(index) for index in range(100_000)))
    assert len(recwarn) in (0, 11)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        load_dataset(tmp_path / "none.data")


def test_network_must_have_as_many_outputs_as_there_are_classes(load):
    dataset = load(FULL)
    dataset.check_outputs(3, "x.cfg")
    with pytest.raises(DatasetError, match=r"classes: 3, but x\.cfg has 1000 outputs"):
        dataset.check_outputs(1000, "x.cfg")


@pytest.mark.parametrize(("names", "labels", "what"), [(1, 2, "1 names"), (2, 3, "3 labels")])
def test_a_dataset_of_ones_own_has_a_name_and_a_label_for_each_class(names, labels, what):
    with pytest.raises(DatasetError, match=rf"^mine: {what} of 2 classes; one for each is expected$"):
        Dataset("mine", 2, ["a"] * names, ["a"] * labels, 1)


def test_listed_files_are_sought_from_here_then_from_above_the_data_file_then_beside_it(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "data").mkdir(parents=True)
    (there / "cfg" / "data").mkdir(parents=True)
    (there / "data").mkdir()
    for folder, names in ((here, "a"), (there, "ab"), (there / "cfg", "abc")):
        for name in names:
            (folder / "data" / f"{name}.list").touch()
    monkeypatch.chdir(here)
    data_file = there / "cfg" / "x.data"
    assert find_listed("data/a.list", data_file).absolute() == here / "data" / "a.list"
    assert find_listed("data/b.list", data_file) == there / "data" / "b.list"
    assert find_listed("data/c.list", data_file) == there / "cfg" / "data" / "c.list"
    assert find_listed("data/d.list", data_file) == Path("data/d.list")
    assert find_listed("data/imagenet.labels.list", data_file).exists()  # packaged


def test_without_a_data_file_nothing_is_sought_above_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "above" / "here").mkdir(parents=True)
    (tmp_path / "a.png").touch()
    (tmp_path / "above" / "b.png").touch()
    monkeypatch.chdir(tmp_path / "above" / "here")
    dataset = Dataset("x.cfg", 1, ["0"], ["0"], 1)
    for name in ("a.png", "b.png"):
        assert find_listed(name, dataset.path) == Path(name)


def test_a_listed_file_without_a_name_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"^'': a name is expected, of a file or a folder$"):
        find_listed("", tmp_path / "cfg" / "x.data")


def test_names_beside_the_data_file_are_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "x.data").write_text("classes=2\nnames=x.names\n")
    (tmp_path / "x.names").write_text("a\nb\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert load_dataset("../../x.data").names == ["a", "b"]


def test_what_training_wrote_is_found_where_its_folder_was_moved_to(tmp_path, monkeypatch):
    text = "classes=2\nnames=runs/first/x.names\nlabels=runs/first/x.names # both\nvalid=runs/first/x.valid.list\n"
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "x.data").write_text(text)
    (moved / "x.names").write_text("a\nb\n")
    (moved / "x.valid.list").write_text("a.png\n")
    monkeypatch.chdir(tmp_path)
    for path in ("moved/x.data", moved / "x.data"):
        told = r"runs/first/x\..*: not there; the file of that name beside this one is taken"
        with pytest.warns(DarknetWarning, match=told) as warned:
            dataset = load_dataset(path)
        assert len(warned) == 3
        assert (dataset.names, dataset.wnids) == (["a", "b"], ["a", "b"])
        assert load_list(dataset.lists["valid"], dataset) == ["a.png"]
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "x.names").write_text("c\nd\n")
    (tmp_path / "runs" / "first" / "x.valid.list").write_text("b.png\n")
    assert load_dataset("moved/x.data").names == ["c", "d"]


def test_a_data_file_without_a_name_is_refused():
    with pytest.raises(DatasetError, match="a name is expected"):
        load_dataset("")
