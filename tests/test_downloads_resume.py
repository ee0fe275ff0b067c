"""Downloads that break and go on from what came, or are asked for again."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading

import loopback
import pytest
from support_downloads import BODY, OTHER, contents, failure, publish, ranges, record_waits, serving

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


def test_broken_download_goes_on(server, waits):
    """After a break the same call asks for the rest only."""
    server.answers = [loopback.file(BODY, stop_after=600), loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == [None, "bytes=600-"]
    assert waits == [0.5]


def test_broken_download_of_unknown_length(server):
    """A transfer in chunks shows without a Content-Length that it is broken."""

    def chunked(request):
        request.start(200, Transfer_Encoding="chunked")
        request.send(b"64\r\n" + BODY[:100] + b"\r\n")

    server.answers = [chunked, loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == [None, "bytes=100-"]


def test_next_call_goes_on(server, folder, waits):
    """With a server that breaks every time, the call fails and the next goes on from the bytes kept."""
    server.answers = [loopback.file(BODY, stop_after=100)]
    line = failure()
    assert line.startswith(f"{server.url}made.weights: the connection broke after 400 of 1000 bytes (")
    assert ranges(server) == [None, "bytes=100-", "bytes=200-", "bytes=300-"]
    assert waits == [0.5, 1.0, 2.0]
    assert contents(folder) == {"made.weights.part": BODY[:400]}

    server.requests.clear()
    server.answers = [loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=400-"]
    assert contents(folder) == {"made.weights": BODY}


def test_server_that_ignores_ranges(server):
    """A 200 in answer to a Range is the file from its first byte."""
    server.answers = [
        loopback.file(BODY, stop_after=600, ranges=False),
        loopback.file(BODY, ranges=False),
    ]
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == [None, "bytes=600-"]


def test_server_that_sends_another_range(server, folder):
    """A 206 that does not begin where it was asked to is not appended."""
    (folder / "made.weights.part").write_bytes(BODY[:600])

    def shifted(request):
        request.start(206, 399, Content_Range="bytes 601-999/1000")
        request.send(BODY[601:])

    server.answers = [shifted, loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=600-", None]


def test_no_such_range(server, folder):
    """416, past the end of the server's file: what was kept is not of that file, so it starts over."""
    (folder / "made.weights.part").write_bytes(OTHER)
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=1000-", None]


@pytest.mark.parametrize("surplus", [b"four", b"and more"])
def test_part_too_long(server, folder, surplus):
    """A kept part to which nothing can be added starts over, without a Range."""
    (folder / "made.weights.part").write_bytes(BODY + surplus)
    assert fetch("made").read_bytes() == BODY
    assert ranges(server) == [None]


def test_complete_part(server, folder):
    """A download that ended just before the file was moved needs no request."""
    (folder / "made.weights.part").write_bytes(BODY)
    fetch("made")
    assert contents(folder) == {"made.weights": BODY}
    assert server.requests == []


def test_server_error_passes(server):
    server.answers = [loopback.status(500), loopback.status(429), loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY


def test_server_error_stays(server, waits):
    server.answers = [loopback.status(500)]
    assert "the server does not send the file (500 Internal Server Error)" in failure()
    assert len(server.requests) == 4
    assert waits == [0.5, 1.0, 2.0]


def test_lost_server_is_asked_again(server, waits, monkeypatch):
    """Once a transfer has begun, a refused connection is a passing fault."""
    server.answers = [loopback.file(BODY, stop_after=600), loopback.file(BODY)]
    connect, calls = socket.socket.connect, []

    def second_fails(self, address):
        calls.append(address)
        if len(calls) == 2:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", second_fails)
    assert fetch("made").read_bytes() == BODY
    assert len(calls) == 3
    assert ranges(server) == [None, "bytes=600-"]


def test_silent_server(server, folder, monkeypatch):
    """A server that stops sending without closing is given up after the read timeout; what came is kept."""
    monkeypatch.setattr(downloads, "TIMEOUT", (5.0, 0.1))
    monkeypatch.setattr(downloads, "RETRY_WAITS", ())
    over = threading.Event()

    def stall(request):
        request.start(200, len(BODY))
        request.send(BODY[:600])
        over.wait(1)
        request.send(BODY[600:])

    server.answers = [stall]
    try:
        assert re.search(r"broke after 600 of 1000 bytes \(.*timed out\.?\)", failure())
    finally:
        over.set()
    assert contents(folder) == {"made.weights.part": BODY[:600]}
