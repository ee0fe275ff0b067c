"""Content ids against known ones, and against a second, recursive way to build the tree."""

from __future__ import annotations

import hashlib
import random

import pytest
from conftest import REFERENCE

from darknet_py.content_id import CHUNK, content_id
from darknet_py.downloads import PUBLISHED
from darknet_py.errors import WeightsError


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (b"hello world\n", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
    ],
)
def test_known_ids(tmp_path, data, expected):
    """The ids that every IPFS node gives to the empty file and to `echo hello world`."""
    path = tmp_path / "file"
    path.write_bytes(data)
    assert content_id(path) == expected


def test_real_weights():
    """tiny.weights, 16 chunks under one node, has the id that is published for it."""
    path = REFERENCE / "real" / "tiny.weights"
    if not path.is_file():
        pytest.skip(f"needs {path}: set DARKNET_PY_REFERENCE to the folder that holds real/tiny.weights")
    assert (path.stat().st_size,) == PUBLISHED["tiny"].sizes
    assert content_id(str(path)) == PUBLISHED["tiny"].content_id


@pytest.mark.parametrize(
    "size",
    [1, 127, 128, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 174 * CHUNK, 174 * CHUNK + 1, 176 * CHUNK - 7],
    ids=lambda size: f"{size // CHUNK}chunks+{size % CHUNK}",
)
def test_trees(tmp_path, size):
    """One chunk, one level, and beyond 174 chunks two, where the second node of the upper level is not full."""
    path = tmp_path / "file"
    pattern = random.Random(size).randbytes(CHUNK + 1)  # longer than a chunk: no two chunks are alike
    path.write_bytes((pattern * (size // len(pattern) + 1))[:size])
    assert content_id(path) == _second_opinion(path.read_bytes())


def test_unreadable(tmp_path):
    """A file that is not there is a user's error, with its path and the reason."""
    with pytest.raises(WeightsError, match=r"gone: cannot be read: No such file"):
        content_id(tmp_path / "gone")


def _second_opinion(data: bytes) -> str:
    """Build the tree from the root down, as deep as the number of chunks asks for, with protobuf fields in a list."""
    depth = 0
    while 174**depth * CHUNK < len(data):
        depth += 1
    digest = _subtree(memoryview(data), depth)[0]
    number = int.from_bytes(digest, "big")
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "".join(alphabet[number // 58**place % 58] for place in reversed(range(46)))


def _subtree(data: memoryview, depth: int) -> tuple[bytes, int]:
    """Give the multihash of the node over `data` and the bytes that it and its subtree take."""
    links, sizes, below = [], [], 0
    if depth:
        step = 174 ** (depth - 1) * CHUNK
        for start in range(0, len(data), step):
            part = data[start : start + step]
            digest, stored = _subtree(part, depth - 1)
            links.append((2, _message([(1, digest), (2, b""), (3, stored)])))
            sizes.append((4, len(part)))
            below += stored
    content = [] if depth else [(2, bytes(data))]
    unixfs = _message([(1, 2), *content, (3, len(data)), *sizes])
    block = _message([*links, (1, unixfs)])
    return bytes([0x12, 32]) + hashlib.sha256(block).digest(), below + len(block)


def _message(fields: list[tuple[int, int | bytes]]) -> bytes:
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += bytes([number * 8 + 2]) + _leb128(len(value)) + value
        else:
            out += bytes([number * 8]) + _leb128(value)
    return out


def _leb128(value: int) -> bytes:
    digits = []
    while True:
        digits.append(value % 128)
        value //= 128
        if not value:
            return bytes([digit + 128 for digit in digits[:-1]] + digits[-1:])
