"""Downloads from a server on the loopback address, of a small file that stands for a published one."""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import re
import socket
import subprocess
import sys
import threading

import loopback
import pytest
import requests

from darknet_py import fetch
from darknet_py.content_id import content_id
from darknet_py.errors import DarknetError, FetchError, UsageError
from darknet_py.fetch import PUBLISHED, Published, fetch_weights, find_weights, weights_path

BODY = random.Random(1).randbytes(1000)
OTHER = random.Random(2).randbytes(1000)
PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache; the only published file is `made`, whose content is BODY, and is written in small blocks."""
    (tmp_path / "body").write_bytes(BODY)
    made = Published((len(BODY), len(BODY) + 4), content_id(tmp_path / "body"))
    monkeypatch.setattr(fetch, "PUBLISHED", {"made": made})
    monkeypatch.setattr(fetch, "BLOCK", 100)
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DARKNET_PY_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    weights = tmp_path / "cache" / "weights"
    weights.mkdir(parents=True)
    return weights


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited between requests."""
    seconds = []
    monkeypatch.setattr(fetch.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def server(folder, waits, monkeypatch):
    with loopback.serving() as running:
        running.answers = [loopback.file(BODY)]
        monkeypatch.setenv("DARKNET_PY_BASE_URL", running.url)
        yield running


def ranges(server):
    return [range_header for _, range_header in server.requests]


def failure(kind=FetchError):
    """Fetch `made`, which must fail, and give the line that the user reads."""
    with pytest.raises(DarknetError) as caught:
        fetch_weights("made")
    assert isinstance(caught.value, kind)
    line = str(caught.value)
    assert "\n" not in line
    return line


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_whole_file(server, folder):
    """The file comes in one request, from the address plus its name, and nothing else stays in the folder."""
    assert fetch_weights("made") == weights_path("made") == folder / "made.weights"
    assert contents(folder) == {"made.weights": BODY}
    assert server.requests == [("/files/made.weights", None)]


def test_asks_for_the_bytes_of_the_file(server):
    """A compressed answer could neither be counted nor resumed."""
    accepted = []

    def answer(request):
        accepted.append(request.headers["Accept-Encoding"])
        loopback.file(BODY)(request)

    server.answers = [answer]
    fetch_weights("made")
    assert accepted == ["identity"]


def test_folder_is_made(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "not" / "yet"))
    assert fetch_weights("made").read_bytes() == BODY


def test_base_url_without_slash(server, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_BASE_URL", server.url.rstrip("/"))
    fetch_weights("made")
    assert server.requests == [("/files/made.weights", None)]


def test_already_there(server, folder):
    """The right file is returned without any request."""
    (folder / "made.weights").write_bytes(BODY)
    assert fetch_weights("made") == folder / "made.weights"
    assert server.requests == []


def test_wrong_file_there(server, folder):
    """Of the right size but with another content, the file there is replaced."""
    (folder / "made.weights").write_bytes(OTHER)
    assert fetch_weights("made").read_bytes() == BODY


def test_wrong_file_there_stays_until_replaced(server, folder):
    (folder / "made.weights").write_bytes(OTHER)
    server.answers = [loopback.status(404)]
    failure()
    assert contents(folder) == {"made.weights": OTHER}


def test_find_weights(folder):
    """A prediction takes a file of a published size and name, and no other."""
    assert find_weights("made") is None
    (folder / "made.weights").write_bytes(BODY[:-1])
    assert find_weights("made") is None
    (folder / "made.weights").write_bytes(BODY + b"four")
    assert find_weights("made") == folder / "made.weights"
    (folder / "own.weights").write_bytes(BODY)
    assert find_weights("own") is None


def test_broken_download_goes_on(server, waits):
    """After a break the same call asks for the rest only."""
    server.answers = [loopback.file(BODY, stop_after=600), loopback.file(BODY)]
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == [None, "bytes=600-"]
    assert waits == [0.5]


def test_broken_download_of_unknown_length(server):
    """A transfer in chunks tells that it is broken without a Content-Length."""

    def chunked(request):
        request.start(200, Transfer_Encoding="chunked")
        request.send(b"64\r\n" + BODY[:100] + b"\r\n")

    server.answers = [chunked, loopback.file(BODY)]
    assert fetch_weights("made").read_bytes() == BODY
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
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=400-"]
    assert contents(folder) == {"made.weights": BODY}


def test_server_that_ignores_ranges(server):
    """A 200 in answer to a Range is the file from its first byte."""
    server.answers = [
        loopback.file(BODY, stop_after=600, ranges=False),
        loopback.file(BODY, ranges=False),
    ]
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == [None, "bytes=600-"]


def test_server_that_sends_another_range(server, folder):
    """A 206 that does not begin where it was asked to is not appended."""
    (folder / "made.weights.part").write_bytes(BODY[:600])

    def shifted(request):
        request.start(206, 399, Content_Range="bytes 601-999/1000")
        request.send(BODY[601:])

    server.answers = [shifted, loopback.file(BODY)]
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=600-", None]


def test_no_such_range(server, folder):
    """416, past the end of the server's file: what was kept is not of that file, so it starts over."""
    (folder / "made.weights.part").write_bytes(OTHER)
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == ["bytes=1000-", None]


@pytest.mark.parametrize("surplus", [b"four", b"and more"])
def test_part_too_long(server, folder, surplus):
    """A kept part to which nothing can be added starts over, without a Range."""
    (folder / "made.weights.part").write_bytes(BODY + surplus)
    assert fetch_weights("made").read_bytes() == BODY
    assert ranges(server) == [None]


def test_complete_part(server, folder):
    """A download that ended just before the file was moved needs no request."""
    (folder / "made.weights.part").write_bytes(BODY)
    fetch_weights("made")
    assert contents(folder) == {"made.weights": BODY}
    assert server.requests == []


def test_wrong_content(server, folder):
    """Right size, other bytes: named by both content ids and removed."""
    server.answers = [loopback.file(OTHER)]
    line = failure()
    found, expected = re.findall(r"Qm\w{44}", line)
    assert found != expected == fetch.PUBLISHED["made"].content_id
    assert line.startswith(f"{server.url}made.weights: ")
    assert contents(folder) == {}


def test_half_a_file(server, folder):
    """What the server takes for the whole file is too short: not a broken connection, so not kept."""
    server.answers = [loopback.file(BODY[:500])]
    assert "sent 500 bytes, expected 1000 or 1004" in failure()
    assert ranges(server) == [None]
    assert contents(folder) == {}


def test_endless_file(server, folder):
    """A body without a length is read no further than the file can be long."""

    def endless(request):
        request.start(200)
        while True:
            request.send(BODY)

    server.answers = [endless]
    assert re.search(r"sent \d{4,6} bytes, expected 1000 or 1004", failure())
    assert contents(folder) == {}


def test_html_page(server, folder):
    """A page that asks to log in is told from weights, and does not cost what was kept."""
    (folder / "made.weights.part").write_bytes(BODY[:600])
    server.answers = [loopback.file(PAGE, ranges=False)]
    assert f"{server.url}made.weights: sent an HTML page, not a weights file" in failure()
    assert contents(folder) == {"made.weights.part": BODY[:600]}


def test_not_found(server, folder):
    """404 is said with the address, at once, and leaves no empty file."""
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


def test_server_error_passes(server):
    server.answers = [loopback.status(500), loopback.status(429), loopback.file(BODY)]
    assert fetch_weights("made").read_bytes() == BODY


def test_server_error_stays(server, waits):
    server.answers = [loopback.status(500)]
    assert "the server does not send the file (500 Internal Server Error)" in failure()
    assert len(server.requests) == 4
    assert waits == [0.5, 1.0, 2.0]


def test_connection_refused(folder, waits, monkeypatch):
    """No server at all is said at once, with the address and the system's reason at the end of the bracket."""
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
    """Of exceptions wrapped in each other, the user reads what the system said, without its number."""

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
    assert fetch_weights("made").read_bytes() == BODY
    assert len(calls) == 3
    assert ranges(server) == [None, "bytes=600-"]


def test_silent_server(server, folder, monkeypatch):
    """A server that stops sending without closing is left after the read timeout; what came is kept."""
    monkeypatch.setattr(fetch, "TIMEOUT", (5.0, 0.1))
    monkeypatch.setattr(fetch, "RETRY_WAITS", ())
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

    monkeypatch.setattr(fetch, "open", open_on_full_disk, raising=False)
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


def test_offline(server, folder, monkeypatch):
    """Forbidden, a download is refused with the place where the file is expected; a file there is taken."""
    monkeypatch.setenv("DARKNET_PY_OFFLINE", "1")
    line = failure()
    assert line.startswith(f"{folder / 'made.weights'}: no file, and DARKNET_PY_OFFLINE forbids downloads")
    assert f"{server.url}made.weights" in line
    (folder / "made.weights").write_bytes(BODY[:10])
    assert "10 bytes, expected 1000 or 1004, and DARKNET_PY_OFFLINE" in failure()
    (folder / "made.weights").write_bytes(BODY)
    assert fetch_weights("made") == folder / "made.weights"
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "0"])
def test_not_offline(server, monkeypatch, value):
    monkeypatch.setenv("DARKNET_PY_OFFLINE", value)
    assert fetch_weights("made").read_bytes() == BODY


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
    first = threading.Thread(target=fetch_weights, args=("made",))
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

    monkeypatch.setattr(fetch.fcntl, "flock", no_locks)
    assert fetch_weights("made").read_bytes() == BODY


@pytest.mark.parametrize(
    ("terminal", "progress", "drawn"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_progress(server, folder, monkeypatch, terminal, progress, drawn):
    """The bar is drawn on a terminal only, never against the caller's wish, and counts what was kept."""
    (folder / "made.weights.part").write_bytes(BODY[:600])
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    fetch_weights("made", progress=progress)
    assert ("made.weights: 100%" in stderr.getvalue()) == drawn
    assert drawn or not stderr.getvalue()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("vgg16", "'vgg-16'"), ("tiny.weights", "'tiny'"), ("Darknet-53", "'darknet53'"), ("zzz", None)],
)
def test_unknown_name(name, meant):
    """A name that is not published is wrong usage, answered with the nearest one and the list."""
    with pytest.raises(UsageError) as caught:
        fetch_weights(name)
    line = str(caught.value)
    assert (f"did you mean {meant}?" in line) if meant else ("did you mean" not in line)
    assert all(known in line for known in PUBLISHED)


def test_table():
    """Eleven networks, each with its own well-formed content id; two sizes differ by the header's four bytes."""
    assert len(PUBLISHED) == 11
    assert len({entry.content_id for entry in PUBLISHED.values()}) == 11
    for entry in PUBLISHED.values():
        assert re.fullmatch(r"Qm[1-9A-HJ-NP-Za-km-z]{44}", entry.content_id)
        assert entry.sizes in [(entry.sizes[0],), (entry.sizes[0], entry.sizes[0] + 4)]
        assert entry.sizes[0] % 4 == 0


def test_import_is_cheap():
    """What only a download needs is not imported before one."""
    code = "import darknet_py.fetch, sys; print({'requests', 'pooch', 'tqdm', 'platformdirs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
