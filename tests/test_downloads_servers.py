"""Servers that are slow, or break the rules: a download from them ends, with one line."""

from __future__ import annotations

import gzip
import re
import threading
import time
from contextlib import suppress

import loopback
import pytest
from support_downloads import BODY, failure, publish, serving

from darknet_py import downloads
from darknet_py.downloads import fetch
from darknet_py.errors import FetchError


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Blocks must come within 0.5 s."""
    publish(tmp_path, monkeypatch)
    monkeypatch.setattr(downloads, "RETRY_WAITS", (0.01,))
    monkeypatch.setattr(downloads, "SLOW", 0.5)
    monkeypatch.setattr(downloads, "ANSWER", 0.5)
    with serving(monkeypatch) as running:
        yield running


def trickle(request, data):
    """Send a byte every now and then, as long as the client listens; no read of one is too slow."""
    for number in range(len(data)):
        request.wfile.write(data[number : number + 1])
        time.sleep(0.02)


def test_a_trickle_of_bytes_is_given_up_and_gone_on_with(server, tmp_path):
    """What came before is kept, and the next request asks for the rest."""

    def slow(request):
        request.start(200, len(BODY))
        request.send(BODY[:600])
        trickle(request, BODY[600:])

    server.answers = [slow, loopback.file(BODY)]
    assert fetch("made").read_bytes() == BODY
    assert [ranges for _, ranges in server.requests] == [None, "bytes=600-"]


def test_a_server_that_always_trickles_is_told_of(server, tmp_path):
    def slow(request):
        request.start(200, len(BODY))
        trickle(request, BODY)

    server.answers = [slow]
    assert "the connection broke after 0 of 1000 bytes (slower than 100 bytes in 0.5 seconds)" in failure()
    assert len(server.requests) == 2
    assert list((tmp_path / "cache" / "weights").iterdir()) == []


def test_so_is_one_that_trickles_its_header(server):
    def slow(request):
        trickle(request, b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 1000)

    server.answers = [slow]
    assert "cannot be reached (slower than 100 bytes in 0.5 seconds): try again later" in failure()


def test_a_slow_but_steady_server_is_waited_for(server):
    """The whole takes longer than a block may."""

    def slow(request):
        request.start(200, len(BODY))
        for first in range(0, len(BODY), 100):
            request.send(BODY[first : first + 100])
            time.sleep(0.1)

    server.answers = [slow]
    assert fetch("made").read_bytes() == BODY
    assert len(server.requests) == 1


CHUNKS = {
    "negative": b"-5\r\nhello\r\n",
    "huge and negative": b"-ffffffffffffffffffffffff\r\nhello\r\n",
    "no number": b"twelve\r\nhello world!\r\n",
    "empty": b"\r\nhello\r\n",
    "too long": b"f" * 100_000 + b"\r\n",
    "bytes": bytes(range(128, 256)) + b"\r\n",
    "cut": b"64\r\n" + BODY[:50],
    "huge": b"ffffffffffffffffffffff\r\n" + BODY[:50],
    "without its end": b"5\r\nhello" + b"5\r\nhello",
}


@pytest.mark.parametrize("chunk", CHUNKS)
def test_chunks_that_are_none_are_told_of(server, chunk):
    def answer(request):
        request.start(200, Transfer_Encoding="chunked")
        request.send(CHUNKS[chunk])

    server.answers = [answer]
    assert re.search(r"made\.weights: (the connection broke after \d+ of 1004 bytes|sent \d+ bytes)", failure())


HEADERS = {
    "a negative length": dict(Content_Length="-5"),
    "a length that is none": dict(Content_Length="many"),
    "an endless length": dict(Content_Length="9" * 5000),
    "two lengths": dict(Content_Length="5, 1000"),
    "an encoding nobody knows": dict(Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_wrong_do_no_harm(server, name):
    """The body after them is the file's, or the download ends with a line."""

    def answer(request):
        request.start(200, **HEADERS[name])
        request.send(BODY)

    server.answers = [answer]
    with suppress(FetchError):
        assert fetch("made").read_bytes() == BODY


@pytest.mark.parametrize("answer", [b"\x00\xff\x00\n", b"HTTP/9.9 abc def\r\n\r\n", b"", b"SSH-2.0-OpenSSH\r\n"])
def test_what_is_no_answer_is_told_of(server, answer):
    server.answers = [lambda request: request.send(answer)]
    assert "made.weights: cannot be reached (" in failure()


@pytest.mark.parametrize(("status", "later"), [(404, False), (403, False), (410, False), (500, True), (429, True)])
def test_later_is_advised_where_that_may_help(server, status, later):
    server.answers = [loopback.status(status)]
    line = failure()
    assert ("try again later" in line) == later
    assert line.endswith("name another server in DARKNET_PY_BASE_URL")


def test_no_thread_is_left_behind(server):
    """Of an endless answer, all is received that may wait to be written, and no more."""

    def endless(request):
        request.start(200)
        while True:
            request.send(BODY)

    server.answers = [endless]
    before = set(threading.enumerate())
    failure()
    end = time.monotonic() + 10
    while any("_work" in thread.name for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < end
        time.sleep(0.01)


def send_compressed(request):
    """Compress a whole answer, unasked, or send a part of the compressed one, which cannot be read without the rest."""
    packed = gzip.compress(BODY)
    assert len(packed) > len(BODY)  # random bytes cannot be packed
    if request.first:
        request.start(206, len(packed) - 100, Content_Encoding="gzip", Content_Range=f"bytes {request.first}-1/2")
        request.send(packed[100:])
    else:
        request.start(200, len(packed), Content_Encoding="gzip")
        request.send(packed)


def test_a_compressed_answer_has_another_length_than_the_file(server):
    server.answers = [send_compressed]
    assert fetch("made").read_bytes() == BODY
    assert len(server.requests) == 1


def test_after_a_compressed_part_the_whole_is_asked_for(server):
    server.answers = [loopback.file(BODY, stop_after=500), send_compressed]
    failure()
    assert fetch("made").read_bytes() == BODY


def test_a_status_without_words(server):
    def answer(request):
        request.wfile.write(b"HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n")

    server.answers = [answer]
    assert "the server does not send the file (403): name another server" in failure()
