"""What a network is trained on: class folders and .data files, and the files that are made from folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_trainer import KINDS, draw_folders, write_cfg

from darknet_py.classifier import load_network
from darknet_py.datasets.data_file import load_dataset
from darknet_py.datasets.samples import load_samples
from darknet_py.errors import DatasetError, UsageError
from darknet_py.network import load_structure
from darknet_py.training.run_files import TrainingFiles
from darknet_py.training.source import make_model, read_data_file, read_folder


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


def make(target, cfg, source):
    """The model, with its files written to the folder `target`."""
    target.mkdir(exist_ok=True)
    files = TrainingFiles(target, "net")
    model = make_model(files, load_network(cfg), source)
    files.begin(model.texts)
    return model


@pytest.mark.parametrize("holdout", [0.3, 0.0])
def test_what_predict_and_valid_need_is_the_same_in_memory_and_in_files(folder, holdout):
    write_cfg(folder / "net.cfg", outputs=7)
    (folder / "pics" / "circle").rename(folder / "pics" / "cercle \udce9")  # bytes that are not UTF-8
    source = read_folder("pics", None, holdout, 0)
    model = make(folder / "kept", "net.cfg", source)
    assert load_structure("kept/net.cfg").outputs == model.network.outputs == 3
    assert load_dataset(folder / "kept" / "net.data") == model.network.dataset
    assert (model.network.file, model.network.dataset.top) == ("net.cfg", 1)
    again = make(folder / "kept", "kept/net.cfg", source)
    assert again.texts == model.texts


def test_a_network_for_a_folder_has_the_lines_of_the_cfg_that_was_named(folder):
    text = write_cfg(folder / "net.cfg", outputs=7).read_text().replace("filters=7\n", "")
    (folder / "net.cfg").write_text(text + "[dropout]\nprobability=2\n")
    network = load_network("net.cfg")
    section = make_model(TrainingFiles(folder, "net"), network, read_folder("pics", None, 0.3, 0)).network.sections[-1]
    assert (section.file, section.line) == ("net.cfg", text.count("\n") + 1)


@pytest.mark.parametrize("name", ["a\nb", " ", "crescent "])
def test_classes_that_no_list_can_name_are_refused(folder, name):
    write_cfg(folder / "net.cfg")
    (folder / "pics" / "circle").rename(folder / "pics" / name)
    with pytest.raises(DatasetError, match=r"^pics: names of its folders are blank, alike or of several lines"):
        make_model(TrainingFiles(folder, "net"), load_network("net.cfg"), read_folder("pics", None, 0.3, 0))


NAMES = st.sampled_from(["0", "1", "10", "a", "b", "a b", "a_b", "x"])  # of classes, folders below these, and pictures


@given(st.dictionaries(NAMES, st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=2, max_size=4), min_size=2))
@settings(max_examples=60, deadline=None)
def test_pictures_are_of_the_same_classes_whatever_they_and_folders_below_are_called(classes):
    """For what `valid` measures as in training, and where the library names the folder itself."""
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
            dataset = make(top / "backup", top / "net.cfg", source).network.dataset
            listed = load_samples(dataset.lists["valid"], dataset)
            assert [sample.truth for sample in listed] == [sample.truth for sample in source.validation]
            every = load_samples(folder, dataset)
            assert {*every} >= {*source.samples}
