"""Which pictures the operands of a command name."""

from __future__ import annotations

from support_folders import refuse_folder

from darknet_py.commands.pictures import find_images


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    (tmp_path / "f" / "lost").mkdir(parents=True)
    (tmp_path / "f" / "a.png").touch()
    (tmp_path / "f" / "up").symlink_to("../..")
    monkeypatch.chdir(tmp_path)
    refuse_folder(monkeypatch, "lost")
    told = {"f/lost: permission denied", "f/up: a link to a folder that it is in"}
    *first, last, other = map(str, find_images(["f", "x.png"]))
    assert {*first} == told
    assert (last, other) == ("f/a.png", "x.png")
    assert {*map(str, find_images(["f/lost"]))} == {"f/lost: permission denied"}


def test_a_folder_without_pictures_is_told(tmp_path, monkeypatch):
    (tmp_path / "f").mkdir()
    monkeypatch.chdir(tmp_path)
    assert [*map(str, find_images(["f"]))] == ["f: no picture in this folder or below it"]
