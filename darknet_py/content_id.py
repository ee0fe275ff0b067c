"""The IPFS content id of a file: the only published fingerprint of most darknet weights files.

The file is cut into chunks of 256 KiB. Each becomes a leaf; up to 174 nodes become a node of the level above,
until one is left, whose SHA-256 names the file. Every node is a dag-pb message round a UnixFS message
(https://ipld.io/specs/codecs/dag-pb/spec, https://specs.ipfs.tech/unixfs); the shape of the tree is that of
kubo's default importer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from .errors import WeightsError

CHUNK = 256 * 1024  # bytes of the file in a leaf
FANOUT = 174  # links in a node
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class _Node(NamedTuple):
    multihash: bytes
    tree_size: int  # bytes of this node and of all below it, as stored
    file_size: int  # bytes of the file that it stands for


def content_id(path: str | os.PathLike[str]) -> str:
    """Compute the IPFS content id, version 0, of a file.

    Parameters
    ----------
    path : path
        A file of any size; it is read once, a chunk at a time.

    Returns
    -------
    str
        46 characters that begin with ``Qm``.

    Raises
    ------
    WeightsError
        The file cannot be read.
    """
    nodes = []
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                nodes.append(_leaf(chunk))
    except OSError as err:
        raise WeightsError(f"cannot be read: {err.strerror}", file=path) from err
    nodes = nodes or [_leaf(b"")]
    while len(nodes) > 1:
        nodes = [_parent(nodes[first : first + FANOUT]) for first in range(0, len(nodes), FANOUT)]
    return _base58(nodes[0].multihash)


def _leaf(chunk: bytes) -> _Node:
    data = _bytes(2, chunk) if chunk else b""
    return _node(b"", _number(1, 2) + data + _number(3, len(chunk)), 0, len(chunk))


def _parent(children: Sequence[_Node]) -> _Node:
    links = b"".join(_bytes(2, _link(child)) for child in children)
    file_size = sum(child.file_size for child in children)
    sizes = b"".join(_number(4, child.file_size) for child in children)
    below = sum(child.tree_size for child in children)
    return _node(links, _number(1, 2) + _number(3, file_size) + sizes, below, file_size)


def _link(child: _Node) -> bytes:
    return _bytes(1, child.multihash) + _bytes(2, b"") + _number(3, child.tree_size)


def _node(links: bytes, unixfs: bytes, below: int, file_size: int) -> _Node:
    block = links + _bytes(1, unixfs)  # dag-pb stores the links before the data, despite their field numbers
    multihash = b"\x12\x20" + hashlib.sha256(block).digest()  # SHA-256, 32 bytes
    return _Node(multihash, below + len(block), file_size)


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _base58(data: bytes) -> str:
    """Write bytes whose first is not zero in base 58."""
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return digits
