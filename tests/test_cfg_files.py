"""The files that a cfg names: where they are looked for, and that each is read once."""

from __future__ import annotations

import pytest

from darknet_py import cfg_files, files
from darknet_py.cfg_files import CfgFiles
from darknet_py.errors import CfgError


def test_a_file_is_read_once(tmp_path):
    (tmp_path / "x.tree").write_bytes(b"a -1")
    found = CfgFiles(str(tmp_path / "x.cfg"))
    assert found.paths == {}
    assert found.read("x.tree", 4) == (str(tmp_path / "x.tree"), b"a -1")
    (tmp_path / "x.tree").unlink()
    assert found.read("x.tree", 4).content == b"a -1"
    assert found.paths == {"x.tree": str(tmp_path / "x.tree")}
    assert found.read("y.tree", 4) is None


def test_where_its_place_is_known_it_is_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.tree").write_bytes(b"a -1")
    (tmp_path / "other").write_bytes(b"b -1")
    located = {"x.tree": str(tmp_path / "other")}
    assert CfgFiles("x.cfg", located=located).read("x.tree", 4) == (str(tmp_path / "other"), b"b -1")
    with pytest.raises(CfgError, match="other: 4 bytes; at most 3 are expected here"):
        CfgFiles("x.cfg", located=located).read("x.tree", 3)


def test_a_packaged_file_keeps_its_name(tmp_path, monkeypatch):
    """So that it is found on another machine, too."""
    monkeypatch.setattr(files, "SHARE", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.tree").write_bytes(b"a -1")
    found = cfg_files.CfgFiles("x.cfg")
    assert found.read("data/x.tree", 4) == ("data/x.tree", b"a -1")
