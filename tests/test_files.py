"""Writing files: whole or not at all, with the permissions that the user's other files have."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

from darknet_py import files
from darknet_py.errors import DarknetError
from darknet_py.files import describe_oserror, remove_unused, write_atomically

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without a name")


@pytest.fixture
def nameless(monkeypatch):
    """As on a file system where every file has a name."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def check_modes(path, umask):
    for mask in (0o022, 0o027, 0o077, 0o002):
        umask(mask)
        path.unlink(missing_ok=True)
        write_atomically(path, [b"new"], DarknetError)
        assert mode_of(path) == 0o666 & ~mask
    for mode in (0o600, 0o664, 0o640):
        path.chmod(mode)
        write_atomically(path, [b"re", b"placed"], DarknetError)
        assert (mode_of(path), path.read_bytes()) == (mode, b"replaced")
    path.unlink()
    write_atomically(path, [b"code"], DarknetError, 0o600)
    assert mode_of(path) == 0o600


@posix
def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_permissions(tmp_path, umask):
    check_modes(tmp_path / "x", umask)


@posix
def test_so_it_is_where_every_file_has_a_name(tmp_path, umask, nameless):
    check_modes(tmp_path / "x", umask)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be opened there")
def test_the_file_is_on_the_disk_before_it_gets_its_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace

    def note_fsync(descriptor):
        fsync(descriptor)
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def note_replace(self, target):
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(files.Path, "replace", note_replace)
    write_atomically(tmp_path / "x", [b"x"], DarknetError)
    assert done == ["file", "name", "folder"]


def test_a_disk_that_fails_to_keep_it_is_told_of(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DarknetError, match=r"[iI]nput/output error"):
        write_atomically(tmp_path / "x", [b"new"], DarknetError)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def check_what_is_written_stays(folder, monkeypatch):
    replace, refused = files.Path.replace, []

    def hinder(self, target):
        with pytest.raises(BlockingIOError, match="another process is writing it"):
            remove_unused(self)
        refused.append(self.parent)
        return replace(self, target)

    def parts():
        for named in folder.iterdir():
            with pytest.raises(BlockingIOError, match="another process is writing it"):
                remove_unused(named)
        yield b"x"

    monkeypatch.setattr(files.Path, "replace", hinder)
    write_atomically(folder / "x", parts(), DarknetError)
    assert refused == [folder]
    assert (folder / "x").read_bytes() == b"x"
    remove_unused(folder / "x")
    remove_unused(folder / "x")
    assert os.listdir(folder) == []


@posix
def test_what_is_being_written_is_not_removed(tmp_path, monkeypatch):
    check_what_is_written_stays(tmp_path, monkeypatch)


@posix
def test_nor_is_it_where_every_file_has_a_name(tmp_path, monkeypatch, nameless):
    check_what_is_written_stays(tmp_path, monkeypatch)


def interrupted():
    yield b"a part"
    raise DarknetError("no more")


def check_what_an_error_leaves(folder):
    (folder / "x").write_bytes(b"old")
    with pytest.raises(DarknetError, match="no more"):
        write_atomically(folder / "x", interrupted(), DarknetError)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"x": b"old"}


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    check_what_an_error_leaves(tmp_path)


def test_an_error_on_the_way_leaves_what_was_there_and_no_named_part(tmp_path, nameless):
    check_what_an_error_leaves(tmp_path)


@pytest.mark.parametrize("name", ["file/x", "none/x", f"{'x' * 300}"])
def test_where_no_file_can_be_the_one_that_is_named_is_told_of(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(DarknetError) as error:
        write_atomically(tmp_path / name, [b"x"], DarknetError)
    assert str(error.value).startswith(f"{tmp_path / name}: ")


@linux
def test_a_killed_process_leaves_nothing(tmp_path):
    """Half of the file is written, and the process gone."""
    code = """
import os, signal, sys
from darknet_py.errors import DarknetError
from darknet_py.files import write_atomically
def parts():
    yield bytes(1 << 20)
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], parts(), DarknetError)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("length", [1, 255])
def test_names_of_any_length_can_be_written(tmp_path, length):
    path = tmp_path / ("x" * length)
    write_atomically(path, [b"x"], DarknetError)
    assert path.read_bytes() == b"x"


def test_of_several_that_write_one_file_one_wins_whole(tmp_path):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [
        threading.Thread(target=write_atomically, args=(tmp_path / "x", [content[:1], content[1:]], DarknetError))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_bytes() in contents
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (OSError(2, "No such file or directory"), "no such file or directory"),
        (ValueError("I/O operation on closed file."), "I/O operation on closed file."),
        (EOFError("EOF reached"), "EOF reached"),
        (ValueError(""), ""),
        (ValueError("stat: embedded null character in path"), "embedded null byte"),
    ],
)
def test_reasons_begin_small_unless_with_an_abbreviation(reason, words):
    assert describe_oserror(reason) == words


def test_a_name_with_a_nul_byte_is_refused(tmp_path):
    with pytest.raises(DarknetError, match="embedded null byte"):
        write_atomically(f"{tmp_path}/a\0b", [b"x"], DarknetError)
