"""Files that a run writes over hold what they held, unless it is told otherwise."""

from __future__ import annotations

import pytest

from darknet_py.errors import DatasetError
from darknet_py.training.replacing import Replacing


def test_what_files_held_comes_back(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    with Replacing() as replacing:
        for content in (b"first", b"second"):
            replacing.write(old, content)
        replacing.write(new, b"new")
        assert old.read_text() == "second"
    assert (old.read_text(), new.read_text()) == ("before", "new")


def test_what_files_held_is_kept_or_dropped(tmp_path):
    kept, same, dropped = (tmp_path / name for name in ("kept", "same", "dropped"))
    for path in (kept, same, dropped):
        path.write_text("before")
    with Replacing() as replacing:
        replacing.write(kept, b"after")
        replacing.write(same, b"before")
        assert replacing.keep() == [kept]
        replacing.write(dropped, b"after")
        replacing.drop()
    assert [path.read_text() for path in (kept, same, dropped)] == ["after", "before", "after"]
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "kept~", "same", "dropped"}
    assert (tmp_path / "kept~").read_text() == "before"


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="folder: is a folder; a file is expected"), Replacing() as replacing:
        replacing.write(tmp_path / "folder", b"content")
