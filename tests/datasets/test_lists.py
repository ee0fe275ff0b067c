"""Lists of images, and parts of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from support_folders import refuse_folder

from darknet_py.datasets import lists
from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.lists import count_repeated, find_image, load_list, take_part
from darknet_py.errors import DatasetError


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A data set whose file is in cfg/ below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cfg").mkdir()
    return Dataset("cfg/x.data", 2, ["a", "b"], ["a", "b"], 1, path=tmp_path / "cfg" / "x.data")


@pytest.fixture
def load(dataset):
    """The paths of a list with this content."""

    def load(content):
        Path("x.list").write_bytes(content)
        return load_list("x.list", dataset)

    return load


# Lists


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.png\nb.png\n", ["a.png", "b.png"]),
        (b"a.png\nb.png", ["a.png", "b.png"]),
        (b"\n\na.png\n \t \nb.png\n\n", ["a.png", "b.png"]),
        (b"a.png\r\n\r\nb.png\r\n", ["a.png", "b.png"]),
        (b"\xef\xbb\xbfa.png\nb.png\n", ["a.png", "b.png"]),
        (b" a.png\nb .png \n", [" a.png", "b .png "]),
        (b"\n\xef\xbb\xbfa.png", ["\ufeffa.png"]),
        ("ä/日本.png\n".encode(), ["ä/日本.png"]),
        (b"b.png\na.png\nb.png\n", ["b.png", "a.png", "b.png"]),
        (b"# a.png\n", ["# a.png"]),
        ("a\u2028b\x85c.png\n".encode(), ["a\u2028b\x85c.png"]),
    ],
    ids=["lf", "no end", "blank lines", "crlf", "mark", "blanks", "no mark", "utf-8", "order", "hash", "unicode ends"],
)
def test_a_list_has_one_path_a_line_taken_as_it_is(load, content, expected):
    assert load(content) == expected


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_names_that_are_not_utf_8_lead_to_their_files(load, dataset):
    name = b"caf\xe9.png"
    Path(os.fsdecode(name)).touch()
    assert os.fsencode(find_image(*load(name + b"\n"), dataset)) == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.list: an empty list; one path a line is expected"),
        (b"\n \r\n\t\n", "x.list: an empty list; one path a line is expected"),
        (b"\xef\xbb\xbf", "x.list: an empty list; one path a line is expected"),
        (b"a.png\nb\0.png\n", "x.list:2: byte 0x00: not a list of paths"),
        (b"\x89PNG\0", "x.list:1: byte 0x00: not a list of paths"),
        ("a.png\n".encode("utf-16"), "x.list: UTF-16 or UTF-32 text; save it as UTF-8"),
        ("a.png\n".encode("utf-32"), "x.list: UTF-16 or UTF-32 text; save it as UTF-8"),
        ("a.png\n".encode("utf-16-le"), "x.list:1: byte 0x00: not a list of paths"),
    ],
    ids=["empty", "blank", "mark", "NUL", "a picture", "utf-16", "utf-32", "utf-16 without a mark"],
)
def test_what_is_no_list_is_refused(load, content, message):
    with pytest.raises(DatasetError) as error:
        load(content)
    assert str(error.value) == message


FIND_IN_ASCII = """
import os, sys
from darknet_py.datasets.data_file import Dataset
from darknet_py.datasets.lists import find_image, load_list
assert sys.getfilesystemencoding() == "ascii"
dataset = Dataset("x.data", 2, ["a", "b"], ["a", "b"], 1)
for path in load_list("x.list", dataset):
    os.stat(find_image(path, dataset))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no locale of ASCII")
def test_a_list_is_in_the_encoding_of_file_names_whatever_that_is(tmp_path):
    (tmp_path / "größe.png").touch()
    (tmp_path / "x.list").write_text("größe.png\n", "utf-8")
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", FIND_IN_ASCII], cwd=tmp_path, env=env, check=True)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_list_of_many_chunks_is_read_whole(load, monkeypatch, ends):
    paths = [f"{index}/" + "x" * (index % 7) + ".png" for index in range(500)]
    for chunk in (1, 2, 3, 7, 64, 1 << 20):
        monkeypatch.setattr(lists, "CHUNK", chunk)
        for last in (b"", ends):
            assert load(ends.join(path.encode() for path in paths) + last) == paths


@pytest.mark.parametrize("chunk", [1, 2, 5, 1 << 20])
def test_what_is_no_list_is_told_at_its_line_in_any_chunk(load, monkeypatch, chunk):
    monkeypatch.setattr(lists, "CHUNK", chunk)
    with pytest.raises(DatasetError, match=r"^x\.list:4: byte 0x00: not a list of paths$"):
        load(b"a.png\n\nb.png\nc\0.png\nd.png\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no module that tells the memory")
@pytest.mark.parametrize("byte", [b"\0", b"x"], ids=["zeros", "one line"])
def test_a_gigabyte_that_is_no_list_is_refused_at_its_beginning(dataset, byte):
    import resource

    with open("x.list", "wb") as stream:
        stream.write(byte * (2 << 20))
        stream.truncate(1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DatasetError, match=r"^x\.list:1: "):
        load_list("x.list", dataset)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("content", [b"a\nb\nc\n", b"a\n\n\n", b"\n\n\na"])
def test_more_lines_than_any_list_has_are_refused(load, monkeypatch, content):
    monkeypatch.setattr(lists, "MAX_LINES", 2)
    with pytest.raises(DatasetError, match=r"^x\.list: more than 2 lines$"):
        load(content)


def test_a_list_too_large_for_one_is_refused_unread(load, monkeypatch):
    monkeypatch.setattr(lists, "MAX_BYTES", 5)
    with pytest.raises(DatasetError, match=r"^x\.list: 6 bytes; at most 5 are expected here$"):
        load(b"a.png\n")


def test_a_missing_list_is_refused(dataset):
    with pytest.raises(DatasetError, match=r"^none\.list: no such file$"):
        load_list("none.list", dataset)


def test_of_a_folder_all_images_in_it_and_below_are_taken_in_order(dataset):
    for name in ("f/b.JPEG", "f/a.png", "f/deep/er/c.webp", "f/notes.txt", "f/Makefile", "f/.png/d.png", "far/e.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("f/._a.png").touch()
    Path("f/linked.jpg").symlink_to("a.png")
    Path("f/nowhere.jpg").symlink_to("none.png")  # which its reader will report
    Path("f/other").symlink_to("../far")
    Path("f/folder.png").mkdir()
    found = ["f/a.png", "f/b.JPEG", "f/deep/er/c.webp", "f/linked.jpg", "f/nowhere.jpg", "f/other/e.png"]
    assert load_list("f", dataset) == found


def test_a_folder_that_cannot_be_read_or_is_within_itself_is_refused(dataset, monkeypatch):
    Path("f/deeper").mkdir(parents=True)
    Path("f/a.png").touch()
    for up in ("..", "../..", "/"):
        Path("f/deeper/up").symlink_to(up)
        with pytest.raises(DatasetError, match=r"^f/deeper/up: a link to a folder that it is in$"):
            load_list("f", dataset)
        Path("f/deeper/up").unlink()
    refuse_folder(monkeypatch, "deeper")
    with pytest.raises(DatasetError, match=r"^f/deeper: permission denied$"):
        load_list("f", dataset)


def test_a_folder_without_images_is_refused(dataset):
    Path("f/deeper").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"^f: no picture in this folder or below it$"):
        load_list("f", dataset)


def test_lists_and_images_are_sought_from_here_then_above_the_data_file(load, dataset, tmp_path, monkeypatch):
    load(b"a.png\n")
    Path("a.png").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert load_list("x.list", dataset) == ["a.png"]
    assert find_image("a.png", dataset) == tmp_path / "a.png"
    Path("a.png").touch()
    assert find_image("a.png", dataset).absolute() == tmp_path / "elsewhere" / "a.png"


# Parts


@pytest.mark.parametrize("limit", [None, 1, 7, 10, 99])
@pytest.mark.parametrize("parts", [1, 2, 3, 10, 11])
def test_shards_share_nothing_and_together_are_the_whole(limit, parts):
    paths = [f"{index}.png" for index in range(10)]
    taken = [take_part(paths, limit, (part, parts)) for part in range(1, parts + 1)]
    assert sorted(path for part in taken for path in part) == sorted(paths[:limit])
    assert max(map(len, taken)) - min(map(len, taken)) <= 1


def test_a_shard_is_every_nth_from_its_own_number_on():
    assert take_part("abcdefgh", 7, (2, 3)) == "be"


@pytest.mark.parametrize(("paths", "repeated"), [([], 0), (["a", "b"], 0), (["a", "b", "a", "a", "b"], 3)])
def test_paths_that_have_occurred_before_are_counted(paths, repeated):
    assert count_repeated(paths) == repeated


def test_a_list_whose_name_no_system_takes_is_refused(dataset):
    with pytest.raises(DatasetError, match="file name too long"):
        load_list("x" * 5000, dataset)
