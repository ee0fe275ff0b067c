"""Downloads that fail: no server, no file, no room, another process."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import socket
import sys
import threading

import loopback
import pytest
import requests
from support_downloads import BODY, contents, failure, publish, record_waits, serving

from darknet_py import downloads
from darknet_py.downloads import fetch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return publish(tmp_path, monkeypatch)


@pytest.fixture
def waits(monkeypatch):
    return record_waits(monkeypatch)


@pytest.fixture
def server(folder, waits, monkeypatch):
    with serving(monkeypatch) as running:
        yield running


def test_not_found(server, folder):
    """404 is reported with the address, at once, and leaves no empty file."""
    server.answers = [loopback.status(404)]
    assert f"{server.url}made.weights: the server has no such file (404 Not Found)" in failure()
    assert len(server.requests) == 1
    assert contents(folder) == {}


def test_refused_by_the_server(server, folder):
    """A status that will not change is not asked for again, and what was kept stays."""
    (folder / "made.weights.part").write_bytes(BODY[:600])
    server.answers = [loopback.status(403)]
    assert "the server does not send the file (403 Forbidden)" in failure()
    assert len(server.requests) == 1
    assert contents(folder) == {"made.weights.part": BODY[:600]}


def test_connection_refused(folder, waits, monkeypatch):
    """A missing server is reported at once, with the address and the system's reason at the end of the bracket."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        monkeypatch.setenv("DARKNET_PY_BASE_URL", url)
        line = failure()
    reason = rf"\(.*{os.strerror(errno.ECONNREFUSED)}\): try again"
    assert re.match(re.escape(f"{url}made.weights: cannot be reached ") + reason, line)
    assert waits == []
    assert contents(folder) == {}


def test_innermost_reason(folder, monkeypatch):
    """Of nested exceptions, the user reads what the system said, without its number."""

    def refused(*args, **kwargs):
        system = OSError(errno.ECONNREFUSED, "Connection refused")
        raise requests.ConnectionError("Max retries exceeded", RuntimeError("wrapped", system))

    monkeypatch.setattr(requests, "get", refused)
    assert "made.weights: cannot be reached (Connection refused): try again" in failure()


def test_unknown_host(folder, waits, monkeypatch):
    def no_such_host(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    monkeypatch.setenv("DARKNET_PY_BASE_URL", "http://weights.invalid/")
    reason = r"\(.*Name or service not known\): try again"
    assert re.match(r"http://weights\.invalid/made\.weights: cannot be reached " + reason, failure())
    assert waits == []


@pytest.mark.parametrize("url", ["weights.invalid/files", "http://a..b/", "ftp://weights.invalid/"])
def test_bad_address(folder, monkeypatch, url):
    monkeypatch.setenv("DARKNET_PY_BASE_URL", url)
    assert failure().startswith(f"{url.rstrip('/')}/made.weights: cannot be reached (")


class FullDisk(io.FileIO):
    """A file on a disk with room for 256 bytes."""

    def write(self, data):
        room = 256 - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(bytes(data)[:room])


def test_no_space(server, folder, monkeypatch):
    """A full disk is named with the path, what came is kept, and no further request is made."""

    def open_on_full_disk(path, mode):
        return io.BufferedWriter(FullDisk(path, "a")) if mode == "ab" else builtins.open(path, mode)

    monkeypatch.setattr(downloads, "open", open_on_full_disk, raising=False)
    line = failure()
    assert line.startswith(f"{folder / 'made.weights.part'}: cannot be written: {os.strerror(errno.ENOSPC)}: ")
    assert "DARKNET_PY_CACHE" in line
    assert contents(folder) == {"made.weights.part": BODY[:256]}
    assert len(server.requests) == 1


def test_folder_that_cannot_be_made(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "file" / "cache"))
    line = failure()
    folder = tmp_path / "file" / "cache" / "weights"
    assert line.startswith(f"{folder}: cannot be written: {os.strerror(errno.ENOTDIR)}: ")
    assert server.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock, which Windows does not have")
def test_two_at_once(server, folder):
    """While one downloads, another is told so; the first ends as if alone."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(request):
        request.start(200, len(BODY))
        request.send(BODY[:600])
        begun.set()
        go_on.wait(5)
        request.send(BODY[600:])

    server.answers = [slow]
    first = threading.Thread(target=fetch, args=("made",))
    first.start()
    try:
        assert begun.wait(5)
        line = failure()
    finally:
        go_on.set()
        first.join()
    assert line.startswith(f"{folder / 'made.weights.part'}: another process is downloading it")
    assert contents(folder) == {"made.weights": BODY}
    assert len(server.requests) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock, which Windows does not have")
def test_file_system_without_locks(server, monkeypatch):
    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(downloads.fcntl, "flock", no_locks)
    assert fetch("made").read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have no names there")
def test_a_pipe_in_the_place_of_a_begun_download_is_not_waited_for(folder):
    os.mkfifo(folder / "made.weights.part")
    assert failure() == f"{folder / 'made.weights.part'}: is a device, a pipe or a socket; an ordinary file is expected"
