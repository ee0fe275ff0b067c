"""Files that a run writes over hold what they held, unless it is told otherwise."""

from __future__ import annotations

import pytest

from darknet_py.errors import DatasetError
from darknet_py.files import write_atomically
from darknet_py.training import replacing as module
from darknet_py.training.replacing import Replacing


def test_what_files_held_lies_behind_and_comes_back(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    for older in (None, "older"):
        behind = tmp_path / "old~"
        if older:
            behind.write_text(older)
        with Replacing() as replacing:
            replacing.write(old, b"after")
            replacing.write(new, b"new")
            assert (old.read_text(), behind.read_text(), new.read_text()) == ("after", "before", "new")
        assert old.read_text() == "before"
        assert not new.exists()
        assert (behind.read_text() if behind.exists() else None) == older


def test_what_is_kept_stays(tmp_path):
    old, same = tmp_path / "old", tmp_path / "same"
    for path in (old, same):
        path.write_text("before")
    with Replacing() as replacing:
        replacing.write(old, b"after")
        replacing.write(same, b"before")
        assert replacing.keep() == [old]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "old": "after", "old~": "before", "same": "before",
    }  # fmt: skip


def test_what_another_run_has_written_since_stays(tmp_path):
    path = tmp_path / "net.cfg"
    path.write_text("before")
    with Replacing() as refused:
        refused.write(path, b"refused")
        with Replacing() as begun:
            begun.write(path, b"begun")
            begun.keep()
    assert path.read_text() == "begun"


def test_an_error_amid_brings_back_the_rest_and_stays_the_error(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_text("before")

    def fail():
        with Replacing() as replacing:
            replacing.write(first, b"after")
            replacing.write(second, b"after")
            (tmp_path / "first~").unlink()
            (tmp_path / "first~").mkdir()  # which nothing can bring back
            replacing.write(tmp_path, b"content")

    with pytest.raises(DatasetError, match="is a folder"):
        fail()
    assert first.read_text() == "before"
    assert second.read_text() == "before"


def test_a_file_that_cannot_be_written_leaves_its_older_one_too(tmp_path, monkeypatch):
    path, behind = tmp_path / "net.cfg", tmp_path / "net.cfg~"
    path.write_text("before")
    behind.write_text("older")

    def write(target, parts, error):
        if parts == [b"after"]:
            raise error("no space left on device", file=target)
        write_atomically(target, parts, error)

    monkeypatch.setattr(module, "write_atomically", write)
    with pytest.raises(DatasetError, match="no space left"), Replacing() as replacing:
        replacing.write(path, b"after")
    assert (path.read_text(), behind.read_text()) == ("before", "older")


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="folder: is a folder; a file is expected"), Replacing() as replacing:
        replacing.write(tmp_path / "folder", b"content")
