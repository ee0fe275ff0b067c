"""Pictures that cannot be read are reported before they are needed."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from darknet_py.datasets import check
from darknet_py.datasets.check import unreadable
from darknet_py.datasets.samples import Sample

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def encode(kind):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda name, content: (tmp_path / name).write_bytes(content)


def test_files_that_are_no_whole_pictures_are_told_in_order_and_once(write):
    jpeg, png = encode("JPEG"), encode("PNG")
    for name, content in {
        "good.jpg": jpeg,
        "good.png": png,
        "empty.jpg": b"",
        "cut.jpg": jpeg[:-100],
        "cut.png": png[:-100],
        "text.png": b"<html>not found</html>",
    }.items():
        write(name, content)
    files = ["cut.jpg", "good.jpg", "empty.jpg", "good.png", "missing.jpg", "cut.png", "text.png", "cut.jpg"]
    told = list(unreadable([Sample(file, 0) for file in files], 2))
    assert [file for file, _ in told] == ["cut.jpg", "empty.jpg", "missing.jpg", "cut.png", "text.png"]
    reasons = dict(told)
    assert reasons["cut.jpg"].startswith("a damaged JPEG: ")
    assert reasons["empty.jpg"] == "an empty file"
    assert reasons["missing.jpg"] == "no such file"
    assert reasons["cut.png"].startswith("a damaged picture: ")


def test_a_sample_is_looked_for_where_it_lies(write, tmp_path):
    write("1.png", encode("PNG"))
    assert list(unreadable([Sample("there/1.png", 0)], 1, lambda file: tmp_path / file.partition("/")[2])) == []


def test_what_is_found_is_told_before_all_is_read(write, monkeypatch):
    monkeypatch.setattr(check, "CHUNK", 1)
    seen = []
    monkeypatch.setattr(check, "check_image", lambda path: seen.append(path) or check_missing(path))

    def check_missing(path):
        raise check.ImageError("missing", file=path)

    found = unreadable([Sample(f"{number}.png", 0) for number in range(100)], 2)
    assert next(found) == ("0.png", "missing")
    found.close()
    assert len(seen) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("check")]
