"""JPEG 2000, by the library that decodes it faithfully: mostly Pillow, OpenCV for colours of more than 8 bits.

Pillow rounds colours of more than 8 bits to 8; OpenCV takes the upper 8, as is done for other formats. Kinds that are
not in `READERS` are refused by both, or decoded to other pixels than the file has. Coded data have no checksum, so
changed bytes may be other pixels.

Each gets the boxes that decide the pixels, and the codestream up to its end, in which no part of a tile is missing.

Source: ITU-T T.800, annexes A and I.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import ImageError
from . import opencv, pillow
from .limits import check_size
from .signatures import CODESTREAM, JPEG2000

if TYPE_CHECKING:
    import numpy.typing as npt

FILE_TYPE = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
SIGNED = 0x80  # added to the bits of signed numbers
HEADERS = (b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef")
SOT, EOC = 0xFF90, b"\xff\xd9"
SRGB, GREY, SYCC = 16, 17, 18  # enumerated colour spaces; 0 stands for a profile, or for none given
PALETTE, OTHER_PALETTE = 256, 257  # numbers that no colour space has
TOLD = {0: "not told", PALETTE: "of a palette", OTHER_PALETTE: "of a palette of other than 8 bits"}

_by_pillow = partial(pillow.decode, kind="JPEG2000")
# By components, colour spaces, bits, and whether chroma may be subsampled.
READERS = (
    ((1,), (0, GREY), range(8, 17), False, _by_pillow),
    ((1,), (PALETTE,), (8,), False, _by_pillow),
    ((2,), (0, GREY), (8,), False, _by_pillow),
    ((3, 4), (0, SRGB), (8,), False, _by_pillow),
    ((3, 4), (0, SRGB), range(9, 17), False, opencv.decode),
    ((3,), (0, SYCC), (8,), True, _by_pillow),
    ((3,), (SYCC,), (8,), False, _by_pillow),
)


class _Frame(NamedTuple):
    """What the header of a codestream says: width, height, tiles, and each component's bits and steps."""

    size: tuple[int, int]
    tiles: int
    components: tuple[tuple[int, int, int], ...]

    @property
    def subsampled(self) -> bool | None:
        """Whether chroma is subsampled; None where something else is."""
        steps = [component[1:] for component in self.components]
        if all(step == (1, 1) for step in steps):
            return False
        return True if len(steps) == 3 and steps[0] == (1, 1) and steps[1] == steps[2] else None


def decode(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    """The pixels of the JPEG 2000 file or codestream `data`."""
    try:
        boxes, start = ({}, 0) if data.startswith(CODESTREAM) else _split(data)
        frame, first = _read_frame(data, start)
        check_size(frame.size, file)
        end = _find_end(data, first, frame.tiles)
        width, height = frame.size
        if boxes and struct.unpack_from(">IIH", boxes[b"ihdr"]) != (height, width, len(frame.components)):
            raise ImageError("a damaged picture: its two headers differ", file=file)
        colours = _read_colours(boxes)
    except (struct.error, ValueError, IndexError, KeyError):
        raise ImageError("a damaged picture: image file is truncated", file=file) from None
    bits = {component[0] for component in frame.components}
    for counts, spaces, depths, subsampled, read in READERS:
        alike = len(frame.components) in counts and colours in spaces and frame.subsampled is subsampled
        if alike and len(bits) == 1 and bits.issubset(depths):
            return read(_join(boxes, data[start:end]), file=file)
    told = ", ".join(str(depth) if depth <= SIGNED else f"{depth - SIGNED} signed" for depth in sorted(bits))
    reason = (
        f"JPEG 2000 of {len(frame.components)} components of {told} bits, colour space {TOLD.get(colours, colours)}"
    )
    raise ImageError(f"{reason}{', subsampled' if frame.subsampled is not False else ''}: not read", file=file)


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box between two places of `data`, and where its content starts and ends."""
    while place < end:
        size, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, place + 8), 16
        following = place + size if size else end
        if following < place + head or following > end:
            raise IndexError
        yield kind, place + head, following
        place = following


def _split(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The first box of each kind in `HEADERS`, and where the codestream starts."""
    headers: dict[bytes, bytes] = {}
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"jp2h":
            for name, first, last in _boxes(data, start, end):
                if name in HEADERS:
                    headers.setdefault(name, data[first:last])
        elif kind == b"jp2c" and headers:
            return headers, start
    raise IndexError


def _join(boxes: dict[bytes, bytes], codestream: bytes) -> bytes:
    """A file of `boxes` and a codestream; without boxes the codestream."""
    if not boxes:
        return codestream
    headers = b"".join(_box(kind, boxes[kind]) for kind in HEADERS if kind in boxes)
    return b"".join([JPEG2000, FILE_TYPE, _box(b"jp2h", headers), _box(b"jp2c", codestream)])


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _read_frame(data: bytes, start: int) -> tuple[_Frame, int]:
    """What the header of the codestream at `start` says, and where what follows starts."""
    marker, length = struct.unpack_from(">4sH", data, start)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, count = struct.unpack_from(
        ">8IH", data, start + 8
    )
    if marker != CODESTREAM or length != 38 + 3 * count or not (tile_width and tile_height):
        raise IndexError
    across, down = -(-(right - tile_left) // tile_width), -(-(bottom - tile_top) // tile_height)
    steps = struct.iter_unpack("3B", data[start + 42 : start + 42 + 3 * count])
    components = tuple((1 + depth, across, down) for depth, across, down in steps)
    return _Frame((right - left, bottom - top), across * down, components), start + 4 + length


def _find_end(data: bytes, place: int, tiles: int) -> int:
    """Where the codestream ends; IndexError where it, or a tile, is cut short."""
    marker, length = struct.unpack_from(">HH", data, place)
    while marker != SOT:
        place += 2 + length
        marker, length = struct.unpack_from(">HH", data, place)
    found: Counter[int] = Counter()
    parts: dict[int, int] = {}
    while marker == SOT:
        tile, size, _, count = struct.unpack_from(">HIBB", data, place + 4)
        if size == 0:  # up to the end of the codestream, found by its marker
            size = data.rindex(EOC, place) - place
        if size < 14 or tile >= tiles:
            raise IndexError
        place += size
        found[tile] += 1
        parts[tile] = max(parts.get(tile, 0), count)
        (marker,) = struct.unpack_from(">H", data, place)
    if marker.to_bytes(2, "big") != EOC or len(found) != tiles or any(found[tile] < parts[tile] for tile in found):
        raise IndexError
    return place + 2


def _read_colours(boxes: dict[bytes, bytes]) -> int:
    """The colour space; `PALETTE` or `OTHER_PALETTE` where there is one."""
    if palette := boxes.get(b"pclr"):
        count = palette[2]
        return PALETTE if count in (3, 4) and palette[3 : 3 + count] == bytes([7] * count) else OTHER_PALETTE
    method, _, _, colours = struct.unpack_from(">BBBI", boxes.get(b"colr", b"").ljust(7, b"\0"))
    return int(colours) if method == 1 else 0
