"""The description of what is measured, for a journal or another machine."""

from __future__ import annotations

import re
import shutil

import pytest
from conftest import ROOT
from support_hierarchy import OTHER_PARENTS, tree_text, write_hierarchy
from support_valid import some_job

from darknet_py import Sample, WeightsError, load_dataset, load_network
from darknet_py.evaluation.job import make_job
from darknet_py.runs.identity import tell_differences


def test_weights_that_changed_since_they_were_loaded_are_refused(tmp_path):
    weights = tmp_path / "x.weights"
    shutil.copy(ROOT / "data" / "shapes.weights", weights)
    network = load_network("cfg/shapes.cfg", weights, engine="reference")
    assert make_job("valid", network, "stretch", 1, 0).weights
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="changed"):
        make_job("valid", network, "stretch", 1, 0)


def test_the_size_of_the_networks_input_is_part_of_what_is_measured():
    network = load_network("cfg/shapes.cfg", "data/shapes.weights", engine="reference")
    before = make_job("evaluate", network, "stretch", 1, 0).describe([], network.dataset)
    network.resize(32, 48)
    now = make_job("evaluate", network, "stretch", 1, 0).describe([], network.dataset)
    assert tell_differences(before, now) == "input 64 x 64, now 48 x 32"


def test_files_that_the_cfg_names_are_part_of_what_is_measured(tmp_path):
    _, *files = write_hierarchy(tmp_path)
    networks = [load_network(*files, engine="reference")]
    (tmp_path / "x.tree").write_text(tree_text(OTHER_PARENTS))
    networks.append(load_network(*files, engine="reference"))
    before, now = (make_job("evaluate", one, "stretch", 1, 0).describe([], one.dataset) for one in networks)
    assert re.fullmatch(r"file x\.tree sha256 \w{16}, now sha256 \w{16}", tell_differences(before, now))


def test_a_cfg_is_identified_as_it_was_loaded(tmp_path):
    _, *files = write_hierarchy(tmp_path)
    network = load_network(*files, engine="reference")
    before = make_job("evaluate", network, "stretch", 1, 0)
    with open(files[0], "a") as stream:
        stream.write("temperature=2\n")
    assert make_job("evaluate", network, "stretch", 1, 0) == before


def test_images_of_the_same_names_in_another_folder_are_others(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").touch()
    (tmp_path / "c").symlink_to("a", target_is_directory=True)

    def describe(folder, file):
        monkeypatch.chdir(folder)
        return some_job().describe([Sample(file)], load_dataset())

    first, second = (describe(tmp_path / folder, "x.png") for folder in ("a", "b"))
    assert describe(tmp_path, "a/x.png") == describe(tmp_path, "c/x.png") == first
    assert re.fullmatch(
        r"list 1 images, sha256 \w{16}, now 1 images, sha256 \w{16}",
        tell_differences(first, second),
    )


def test_an_image_whose_name_no_file_has_is_described():
    assert some_job().describe([Sample("a\0/x.png")], load_dataset())
