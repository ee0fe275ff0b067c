"""Where the cache is; nothing is run from it that somebody else may have written; one process makes a file."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest
from conftest import ROOT
from support_cli import environment, finish, start

from darknet_py import cache as cache_module
from darknet_py.cache import UntrustedError, cache_dir, keep, make_folder, read_private, write_private
from darknet_py.engines.cuda import kept as cuda_kept
from darknet_py.engines.cuda.tune import Tuner
from darknet_py.errors import DarknetWarning, EngineError

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions, pipes and locks")
needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files to another user"
)
OTHER = 54321  # the id of another user
GOOD, PLANTED = b"made here", b"planted"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The path of a kept file, which exists already, in a cache of its own."""
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    path = cache_dir() / "kernels" / "x.bin"
    keep(path, lambda kept: GOOD)
    return path


def make_anew(kept):
    return b"kept" if kept else b"not kept"


def refusal(path, culprit):
    """Why nothing is taken from `path`, and it is made anew: the reason in the one warning, which names `culprit`."""
    cache_module._warned.clear()
    with pytest.warns(DarknetWarning) as caught:
        assert keep(path, make_anew) == b"not kept"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keep(path, make_anew) == b"not kept", "warned of again"
    (warning,) = caught
    start = f"{culprit}: kernels are compiled anew at every start, nothing is taken from there: "
    assert str(warning.message).startswith(start)
    return str(warning.message).removeprefix(start)


def test_what_was_made_is_kept(path):
    assert keep(path, make_anew) == GOOD
    path.write_bytes(path.read_bytes()[:-1])
    assert keep(path, make_anew) == b"kept"
    assert keep(path, lambda kept: b"again") == b"kept"


@posix
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_folders_and_code_are_the_users_alone_whatever_the_umask(tmp_path, mask):
    path = tmp_path / "a" / "b" / "x.bin"
    before = os.umask(mask)
    try:
        keep(path, lambda kept: GOOD)
        modes = [stat.S_IMODE(made.stat().st_mode) for made in (path.parent.parent, path.parent, path)]
    finally:
        os.umask(before)
    assert modes == [0o700, 0o700, 0o600]
    assert keep(path, make_anew) == GOOD


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_used(path, mode):
    path.chmod(mode)
    assert refusal(path, path) == "others can write it (chmod go-w)"
    path.chmod(0o644)
    assert keep(path, make_anew) == GOOD


@posix
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_nor_one_in_a_folder_that_others_can_write(path, mode):
    path.parent.chmod(mode)
    assert refusal(path, path.parent) == "others can write it (chmod go-w)"


@posix
def test_nor_one_whose_folder_anybody_could_exchange(path):
    """Where everybody may write to a folder, so may they below it; but not if nobody may touch others' files."""
    cache_dir().chmod(0o777)
    assert refusal(path, cache_dir()) == "anybody can write there (chmod o-w)"
    assert refusal(path.with_name("new.bin"), cache_dir()) == "anybody can write there (chmod o-w)"
    assert not path.with_name("new.bin").exists()
    cache_dir().chmod(0o1777)
    assert keep(path, make_anew) == GOOD


@posix
def test_nothing_is_made_where_anybody_could_exchange_it(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert refusal(tmp_path / "open" / "kernels" / "x.bin", tmp_path / "open") == "anybody can write there (chmod o-w)"
    assert os.listdir(tmp_path / "open") == []


@needs_root
@pytest.mark.parametrize("which", ["file", "folder", "above"])
def test_what_another_user_has_put_there_is_not_used(path, which):
    culprit = {"file": path, "folder": path.parent, "above": cache_dir()}[which]
    os.chown(culprit, OTHER, OTHER)
    assert refusal(path, culprit) == "belongs to another user"


READ_AS_OTHER = """
import os, pathlib, sys
from darknet_py.cache import read_private
os.setgroups([])
os.seteuid(int(sys.argv[1]))
print(read_private(pathlib.Path(sys.argv[2])).endswith(b"made here"))
"""


@needs_root
def test_what_the_administrator_has_put_there_is_used():
    """As in a container whose image was made by root."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels" / "x.bin"
        keep(path, lambda kept: GOOD)
        for made in (path.parent.parent, path.parent, path):
            made.chmod(0o755)
        command = [sys.executable, "-c", READ_AS_OTHER, str(OTHER), str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


@posix
@pytest.mark.parametrize("kind", ["link", "pipe", "socket", "folder"])
def test_what_is_no_file_is_not_used_and_not_waited_for(path, kind, tmp_path):
    path.rename(tmp_path / "elsewhere")
    says = "is not an ordinary file"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
        says = "is a symbolic link"
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.chdir(path.parent)  # its name must be short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
        os.chdir(ROOT)
    else:
        path.mkdir()
    assert refusal(path, path) == says


@posix
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_folder_is_not_used(path, kind, tmp_path):
    path.parent.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.parent.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path.parent)
    assert refusal(path, path.parent) == ("is a symbolic link" if kind == "link" else "is not a folder")


@posix
def test_a_cache_that_is_a_link_to_the_users_own_folder_is_used(path, tmp_path):
    (tmp_path / "link").symlink_to(cache_dir())
    assert keep(tmp_path / "link" / "kernels" / "x.bin", make_anew) == GOOD


@posix
def test_the_gpus_kernels_and_plans_are_read_as_warily(path):
    assert cuda_kept.keep("source", ".cubin", lambda: GOOD) == GOOD
    assert cuda_kept.keep("source", ".cubin", lambda: PLANTED) == GOOD
    (kept,) = cuda_kept.cache_folder().iterdir()
    kept.chmod(0o666)
    with pytest.warns(DarknetWarning, match=r"others can write it"):
        assert cuda_kept.keep("source", ".cubin", lambda: b"anew") == b"anew"


@posix
@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.write_text("{}") and path.chmod(0o666)])
def test_nor_do_the_gpus_choices_wait_for_a_pipe_or_come_from_others(path, plant):
    write_private(Tuner("a GPU").path, [b"{}"])
    Tuner("a GPU").path.unlink()
    plant(Tuner("a GPU").path)
    with pytest.raises(UntrustedError):
        read_private(Tuner("a GPU").path)
    assert Tuner("a GPU")._known == {}


@posix
def test_threads_and_processes_that_want_the_same_make_it_once(path, caplog):
    """And say that they wait, once each."""
    wanted, made, begun = path.with_name("y.bin"), [], threading.Event()

    def make_slowly(kept):
        made.append(kept)
        begun.set()
        time.sleep(1)
        return GOOD

    def want():
        found.append(keep(wanted, make_slowly))

    found = []
    caplog.set_level("INFO", "darknet_py")
    first, *others = [threading.Thread(target=want) for _ in range(4)]
    first.start()
    assert begun.wait(10)
    for thread in others:
        thread.start()
    for thread in (first, *others):
        thread.join()
    assert (made, found) == ([True], [GOOD] * 4)
    assert caplog.messages.count("waiting for another process that compiles kernels") == 3


def test_small_ones_wait_for_nobody(path):
    """Each of two threads makes its own only when the other has begun."""
    both = threading.Barrier(2, timeout=20)

    def make_beside(kept):
        both.wait()
        return GOOD

    names = [path.with_name(name) for name in ("y.bin", "z.bin")]
    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(lambda name: keep(name, make_beside, small=True), names)] == [GOOD] * 2
    assert [keep(name, make_anew) for name in names] == [GOOD] * 2


HOLD = """
import pathlib, sys, time
from darknet_py.cache import keep
def make(kept):
    print("begun", flush=True)
    time.sleep(1000)
keep(pathlib.Path(sys.argv[1]), make)
"""


@posix
def test_a_killed_process_holds_nobody_up(path):
    wanted = path.with_name("y.bin")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(wanted)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "begun\n"
        holder.kill()
    assert keep(wanted, make_anew) == b"kept"


@posix
def test_a_stopped_process_holds_nobody_up_for_ever(path, monkeypatch):
    monkeypatch.setattr(cache_module, "PATIENCE", 0.3)
    wanted = path.with_name("y.bin")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(wanted)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "begun\n"
        assert keep(wanted, make_anew) == b"kept"
        holder.kill()


@posix
def test_a_file_system_without_locks_is_done_without_them(path, monkeypatch):
    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(cache_module.fcntl, "flock", no_locks)
    assert keep(path.with_name("y.bin"), make_anew) == b"kept"


@pytest.mark.parametrize("small", [False, True])
def test_where_nothing_can_be_written_it_is_made_each_time(tmp_path, small):
    (tmp_path / "file").touch()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert keep(tmp_path / "file" / "kernels" / "x.bin", make_anew, small) == b"not kept"
    says = [f"{tmp_path / 'file' / 'kernels'}: kernels are compiled anew at every start, they cannot be kept: "]
    assert [re.sub("(kept: ).*", r"\1", str(warning.message)) for warning in caught] == says * (not small)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), EngineError("no space left on device")]
)
def test_what_was_made_counts_though_the_disk_is_full(tmp_path, monkeypatch, error, small):
    def write(path, parts):
        raise error

    monkeypatch.setattr(cache_module, "write_private", write)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert keep(tmp_path / "kernels" / "x.bin", make_anew, small) == b"kept"
    says = "kernels are compiled anew at every start, they cannot be kept: no space left on device"
    assert [str(warning.message) for warning in caught] == [f"{tmp_path / 'kernels'}: {says}"] * (not small)


def test_folders_are_made_as_far_as_they_are_missing(tmp_path):
    make_folder(tmp_path)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@posix
@pytest.mark.slow
def test_processes_with_a_cold_cache_compile_the_kernels_once(tmp_path):
    """Unoptimized, which takes half the time."""
    cold = environment(tmp_path / "cache", NUMBA_OPT="0", DARKNET_PY_ISA="generic")
    started = [start("warmup", cwd=tmp_path, env=cold) for _ in range(4)]
    answers = [finish(process) for process in started]
    assert [answer.code for answer in answers] == [0] * 4
    told = [line.split(" ")[0] for answer in answers for line in answer.complaints]
    assert told.count("compiling") == 1
    assert set(told) <= {"compiling", "waiting"}
    assert all(len(answer.complaints) <= 1 for answer in answers)


def test_cache_dir_from_the_environment(tmp_path, monkeypatch):
    """DARKNET_PY_CACHE is taken with ~ and relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKNET_PY_CACHE", "here")
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("DARKNET_PY_CACHE", "~/there")
    assert cache_dir() == Path.home() / "there"


@pytest.mark.skipif(sys.platform != "linux", reason="names the folder of the XDG specification")
def test_cache_dir_of_the_system(tmp_path, monkeypatch):
    monkeypatch.delenv("DARKNET_PY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "darknet_py"
    assert not cache_dir().exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names the folder of the XDG specification")
@pytest.mark.parametrize("named", [None, "", "/somewhere", "/some where/"])
def test_cache_dir_is_where_other_programs_have_theirs(tmp_path, monkeypatch, named):
    """Where platformdirs says, although that is not loaded."""
    monkeypatch.delenv("DARKNET_PY_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert cache_dir() == platformdirs.user_cache_path("darknet_py", appauthor=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the specification: to be ignored
    assert cache_dir() == tmp_path / ".cache" / "darknet_py"


def test_cache_dir_without_a_home_in_the_environment(monkeypatch):
    for name in ("DARKNET_PY_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # nor in the list of users
    monkeypatch.setattr(cache_module, "LINUX", True)
    assert cache_dir() == Path(os.path.abspath(os.sep), ".cache", "darknet_py")


@pytest.mark.parametrize("old", [True, False])
def test_cache_dir_without_a_home(monkeypatch, old):
    """On other systems, too, whichever way platformdirs says that there is none."""

    def no_home(*args, **kwargs):
        if old:
            return Path("~/.cache/darknet_py")
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("DARKNET_PY_CACHE", raising=False)
    monkeypatch.setattr(cache_module, "LINUX", False)
    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    assert cache_dir() == Path(os.path.abspath(os.sep), ".cache", "darknet_py")
