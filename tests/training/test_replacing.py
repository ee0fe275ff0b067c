"""Files that a run writes over hold what they held, unless it is told otherwise."""

from __future__ import annotations

import pytest

from darknet_py.errors import DatasetError
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


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="folder: is a folder; a file is expected"), Replacing() as replacing:
        replacing.write(tmp_path / "folder", b"content")
