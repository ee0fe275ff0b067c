"""Files that commands are to write: where none can be written, or where one of their own inputs is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import ROOT

from darknet_py.commands.target import check_target, spare
from darknet_py.errors import UsageError

NONE = "no file can be written there"
LONG = f"{'x' * 300}.csv"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x.txt", r"--save x.txt: a name that ends in .jsonl or .csv is expected"),
        ("csv", r"--save csv: a name that ends in .jsonl or .csv is expected"),
        ("none/x.csv", f"--save none/x.csv: {NONE}: no such file or directory"),
        ("folder.csv", f"--save folder.csv: {NONE}: not an ordinary file"),
        ("pipe.csv", f"--save pipe.csv: {NONE}: not an ordinary file"),
        ("link.csv", f"--save link.csv: {NONE}: no such file or directory"),
        ("file/x.csv", f"--save file/x.csv: {NONE}: not a directory"),
        # Which lets root write, and takes none.
        ("/proc/x.csv", f"--save /proc/x.csv: {NONE}: no such file or directory"),
        (LONG, f"--save {LONG}: {NONE}: file name too long"),
    ],
)
def test_targets_that_could_not_be_written_are_refused_before_the_work(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    Path("file").touch()
    Path("link.csv").symlink_to("none/x.csv")
    os.mkfifo("pipe.csv")
    with pytest.raises(UsageError) as error:
        check_target("--save", path, (".jsonl", ".csv"), ["x.list"])
    assert str(error.value) == message


@pytest.mark.parametrize("path", [None, "new.csv", "there.jsonl", "folder/new.jsonl"])
def test_targets_that_can_be_written_are_not_touched(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("there.jsonl").write_text("old")
    check_target("--save", path, (".jsonl", ".csv"), ["x.list"])
    assert sorted(os.listdir(tmp_path)) == ["folder", "there.jsonl"]
    assert Path("there.jsonl").read_text() == "old"


def test_a_target_that_the_run_itself_reads_or_writes_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.symlink_to(tmp_path / "the.list.csv")
    with pytest.raises(UsageError, match=r"would replace a file that this run reads or writes; name another$"):
        check_target("--save", str(path), (".jsonl", ".csv"), ["other", str(tmp_path / "the.list.csv")])


def test_so_is_one_that_is_packaged_by_whatever_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="would replace a file"):
        spare("OUT", str(ROOT / "data" / "shapes.weights"), ["data/shapes.weights"])
