"""Downloads of published files: what is fetched, what is accepted as such a file, and what is not."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import loopback
import pytest
from support_downloads import BODY, OTHER, contents, failure, publish, ranges, record_waits, serving

from darknet_py import downloads
from darknet_py.downloads import PUBLISHED, fetch, find_weights, weights_path
from darknet_py.errors import UsageError

PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


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


def test_whole_file(server, folder):
    """The file comes in one request, from the address plus its name, and nothing else stays in the folder."""
    assert fetch("made") == weights_path("made") == folder / "made.weights"
    assert contents(folder) == {"made.weights": BODY}
    assert server.requests == [("/files/made.weights", None)]


def test_asks_for_the_bytes_of_the_file(server):
    """A compressed answer could neither be counted nor resumed."""
    accepted = []

    def answer(request):
        accepted.append(request.headers["Accept-Encoding"])
        loopback.file(BODY)(request)

    server.answers = [answer]
    fetch("made")
    assert accepted == ["identity"]


def test_folder_is_made(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "not" / "yet"))
    assert fetch("made").read_bytes() == BODY


def test_base_url_without_slash(server, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_BASE_URL", server.url.rstrip("/"))
    fetch("made")
    assert server.requests == [("/files/made.weights", None)]


def test_already_there(server, folder):
    """The right file is returned without any request."""
    (folder / "made.weights").write_bytes(BODY)
    assert fetch("made") == folder / "made.weights"
    assert server.requests == []


def test_wrong_file_there(server, folder):
    """Of the right size but with another content, the file there is replaced."""
    (folder / "made.weights").write_bytes(OTHER)
    assert fetch("made").read_bytes() == BODY


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


def test_wrong_content(server, folder):
    """Right size, other bytes: named by both content ids and removed."""
    server.answers = [loopback.file(OTHER)]
    line = failure()
    found, expected = re.findall(r"Qm\w{44}", line)
    assert found != expected == downloads.PUBLISHED["made"].content_id
    assert line.startswith(f"{server.url}made.weights: ")
    assert contents(folder) == {}


def test_half_a_file(server, folder):
    """What the server sends as the whole file is too short: no broken connection, so it is not kept."""
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
    """A page that asks to log in is distinguished from weights, and what was kept is not lost."""
    (folder / "made.weights.part").write_bytes(BODY[:600])
    server.answers = [loopback.file(PAGE, ranges=False)]
    assert f"{server.url}made.weights: sent an HTML page, not a weights file" in failure()
    assert contents(folder) == {"made.weights.part": BODY[:600]}


@pytest.mark.parametrize(
    ("terminal", "progress", "drawn"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_progress(server, folder, monkeypatch, terminal, progress, drawn):
    """The bar is drawn on a terminal only, never against the caller's wish, and counts what was kept."""
    (folder / "made.weights.part").write_bytes(BODY[:600])
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    fetch("made", progress=progress)
    assert ("made.weights: 100%" in stderr.getvalue()) == drawn
    assert drawn or not stderr.getvalue()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("vgg16", "'vgg-16'"), ("tiny.weights", "'tiny'"), ("Darknet-53", "'darknet53'"), ("zzz", None)],
)
def test_unknown_name(name, meant):
    """A name that is not published is wrong usage, answered with the nearest one and the list."""
    with pytest.raises(UsageError) as caught:
        fetch(name)
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
    code = "import darknet_py.downloads, sys; print({'requests', 'tqdm', 'platformdirs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_offline(server, folder, monkeypatch):
    """Forbidden, a download is refused with the place where the file is expected; a file there is taken."""
    monkeypatch.setenv("DARKNET_PY_OFFLINE", "1")
    line = failure()
    assert line.startswith(f"{folder / 'made.weights'}: no file, and DARKNET_PY_OFFLINE forbids downloads")
    assert f"{server.url}made.weights" in line
    (folder / "made.weights").write_bytes(BODY[:10])
    assert "10 bytes, expected 1000 or 1004, and DARKNET_PY_OFFLINE" in failure()
    (folder / "made.weights").write_bytes(BODY)
    assert fetch("made") == folder / "made.weights"
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "0"])
def test_not_offline(server, monkeypatch, value):
    monkeypatch.setenv("DARKNET_PY_OFFLINE", value)
    assert fetch("made").read_bytes() == BODY
