"""What a network is trained on: class folders and .data files, and the files that are made of folders."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_trainer import KINDS, draw_folders, write_cfg

from darknet_py.datasets.data_file import load_dataset
from darknet_py.datasets.samples import load_samples
from darknet_py.errors import DatasetError, UsageError
from darknet_py.network import load_structure
from darknet_py.training.replacing import Replacing
from darknet_py.training.source import make_folder, read_data_file, read_folder, write_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_folders(tmp_path / "pics", 10)
    return tmp_path


def test_a_part_of_each_class_is_held_out(folder):
    source = read_folder("pics", None, 0.3, 0)
    assert source.dataset.names == list(KINDS)
    assert [sum(sample.truth == truth for sample in source.validation) for truth in range(3)] == [3, 3, 3]
    assert len(source.samples) == 21
    assert not {sample.file for sample in source.samples} & {sample.file for sample in source.validation}
    assert read_folder("pics", None, 0.3, 0) == source
    assert read_folder("pics", None, 0.3, 1) != source
    assert len(read_folder("pics", None, None, 0).validation) == 3


def test_another_folder_validates_and_its_classes_count_by_name(folder):
    shutil.copytree("pics", "other")
    shutil.rmtree("other/circle")
    source = read_folder("pics", "other", None, 0)
    assert len(source.samples) == 30
    assert {(sample.truth, sample.file.split("/")[1]) for sample in source.validation} == {
        (1, "crescent"), (2, "triangle"),
    }  # fmt: skip
    shutil.move("other/crescent", "other/cross")
    with pytest.raises(DatasetError, match=r"^other: cross is none of the 3 classes of pics$"):
        read_folder("pics", "other", None, 0)
    with pytest.raises(UsageError, match="holdout together with valid"):
        read_folder("pics", "other", 0.5, 0)


def test_a_data_file_names_both_lists_and_either_may_be_another(folder):
    (folder / "x.names").write_text("circle\ncrescent\ntriangle\n")
    for name, numbers in (("train", range(8)), ("valid", range(8, 10))):
        lines = "".join(f"pics/{kind}/{number:04d}.png\n" for kind in KINDS for number in numbers)
        (folder / f"{name}.list").write_text(lines)
    (folder / "x.data").write_text("classes=3\nnames=x.names\ntrain=train.list\nvalid=valid.list\n")
    source = read_data_file("x.data", "words", None, None, 0)
    assert (len(source.samples), len(source.validation)) == (24, 6)
    assert len(read_data_file("x.data", "words", "train.list", None, 0).validation) == 24
    held = read_data_file("x.data", "words", None, 0.25, 0)
    assert (len(held.samples), len(held.validation)) == (18, 6)
    (folder / "x.data").write_text("classes=3\nnames=x.names\ntrain=train.list\n")
    assert read_data_file("x.data", "words", None, None, 0).validation == []


def test_what_predict_and_valid_need_is_written_once(folder):
    write_cfg(folder / "net.cfg", outputs=7)
    source = read_folder("pics", None, 0.3, 0)
    target = make_folder(folder / "deep" / "kept")
    dataset = write_model(target, "net", "net.cfg", source, Replacing())
    assert load_structure(target / "net.cfg").outputs == 3
    assert (dataset.names, dataset.wnids, dataset.top) == ([*KINDS], [*KINDS], 1)
    listed = load_samples(dataset.lists["valid"], load_dataset(target / "net.data"))
    assert [sample.truth for sample in listed] == [sample.truth for sample in source.validation]
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    write_model(target, "net", str(target / "net.cfg"), source, Replacing())
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


NAMES = st.sampled_from(["0", "1", "10", "a", "b", "a b", "a_b", "x"])  # of classes, folders below these, and pictures


@given(st.dictionaries(NAMES, st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=2, max_size=4), min_size=2))
@settings(max_examples=60, deadline=None)
def test_pictures_are_of_the_same_classes_whatever_they_and_folders_below_are_called(classes):
    """In what `valid` measures as in training, and where the library names the folder itself."""
    with TemporaryDirectory() as temporary:
        top = Path(temporary)
        write_cfg(top / "net.cfg", outputs=7)
        for name, pictures in classes.items():
            for number, parts in enumerate(pictures):
                path = (top / "pics" / name).joinpath(*map(str, [*parts[:-1], f"{parts[-1]}.{number}.png"]))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        for folder, valid in ((top / "pics", None), (top / "none", top / "pics")):
            if valid is not None:
                shutil.copytree(top / "pics", folder)
            source = read_folder(str(folder), valid and str(valid), None if valid else 0.5, 0)
            target = make_folder(top / "backup")
            dataset = write_model(target, "net", str(top / "net.cfg"), source, Replacing())
            listed = load_samples(dataset.lists["valid"], dataset)
            assert [sample.truth for sample in listed] == [sample.truth for sample in source.validation]
            every = load_samples(folder, dataset)
            assert {*every} >= {*source.samples}


def test_a_folder_that_cannot_be_written_is_refused(folder):
    (folder / "file").write_text("")
    for name in ("file", "file/below"):
        message = f"{folder / name}: .*; name another folder for weights with --backup"
        with pytest.raises(UsageError, match=message):
            make_folder(folder / name)
    assert re.fullmatch(r"\w+", make_folder(folder / "made").name)
    assert list((folder / "made").iterdir()) == []


def test_a_folder_is_tried_without_a_name_that_others_have(folder):
    (folder / ".writable").write_text("somebody's")
    make_folder(folder)
    assert (folder / ".writable").read_text() == "somebody's"
