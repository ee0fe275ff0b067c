"""TIFF, by Pillow and libtiff, which get the tags that decide the pixels and no others.

Pillow warns of the other tags, rotates the picture by them, or follows them. libtiff prints its errors, but in some
compressions returns a picture nonetheless; here they are raised. It does not report that a JPEG within lacks pixels.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import zip_longest

from ...errors import ImageError
from . import jpeg
from .limits import check_size

WIDTH, LENGTH, COMPRESSION, SAMPLES, TILE_WIDTH, TILE_LENGTH, JPEG_TABLES = 256, 257, 259, 277, 322, 323, 347
ROWS, PLANES = 278, 284
JPEG = 7  # as a compression
PARTS = ((273, 279), (324, 325))  # places and sizes of strips, and of tiles
# Tags of one value: size, compression, colours, order of bits, samples, rows of a strip, planes, fax options,
# predictor, tiles.
ONE = frozenset([WIDTH, LENGTH, COMPRESSION, 262, 266, SAMPLES, ROWS, PLANES, 292, 293, 317, TILE_WIDTH, TILE_LENGTH])
# Bits, strips, colours of a palette, tiles, extra samples, format, JPEG tables, YCbCr.
TAGS = ONE | {258, 273, 279, 320, 324, 325, 338, 339, JPEG_TABLES, 529, 530, 531, 532}
INTEGERS = {1: "B", 3: "H", 4: "L", 16: "Q"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
MAX_SAMPLES = 6  # per pixel, Pillow's

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_own = threading.local()
_kept: list[object] = []  # what libtiff may call from now on: threads that get there at the same time each install one


def pixel_tags(data: bytes, file: str) -> bytes:
    """The TIFF `data` with a directory of what decides the pixels of its first picture, and no other directory.

    Raises
    ------
    ImageError
        Where it is cut short, a tile or a pixel takes too much memory, or a JPEG within is damaged.
    """
    try:
        return _rewrite(data, file)
    except (struct.error, IndexError, OverflowError):
        raise ImageError("a damaged picture: image file is truncated", file=file) from None


def _rewrite(data: bytes, file: str) -> bytes:
    order = "<" if data[:1] == b"I" else ">"
    counted, address, head = ("Q", "Q", 8) if 43 in data[2:4] else ("H", "L", 4)
    shape = struct.Struct(f"{order}HH{address}{head}s")
    (start,) = struct.unpack_from(order + address, data, head)
    (entries,) = struct.unpack_from(order + counted, data, start)
    start += struct.calcsize(order + counted)
    if start + entries * shape.size > len(data):
        raise IndexError
    kept: dict[int, bytes] = {}
    numbers: dict[int, tuple[int, ...]] = {}
    tables = b""
    total = 0
    for tag, kind, count, value in shape.iter_unpack(data[start : start + entries * shape.size]):
        if tag not in TAGS or tag in kept or kind not in SIZES or not count:
            continue
        size = SIZES[kind] * count
        content = value[:size]
        if size > len(value):
            (offset,) = struct.unpack(order + address, value)
            content = data[offset : offset + size]
            total += size
            if len(content) < size or total > len(data):
                raise IndexError
        if tag in ONE:
            count, content = 1, content[: SIZES[kind]]
            if len(content) <= len(value):  # otherwise it stays where it is
                value = content.ljust(len(value), b"\0")
        kept[tag] = shape.pack(tag, kind, count, value)
        if kind in INTEGERS:
            numbers[tag] = struct.unpack(f"{order}{count}{INTEGERS[kind]}", content)
        elif tag == JPEG_TABLES:
            tables = content
    (samples,) = numbers.get(SAMPLES, (1,))
    if samples > MAX_SAMPLES:
        raise ImageError(f"{samples} samples a pixel; at most {MAX_SAMPLES} are read", file=file)
    for width, length, what in ((WIDTH, LENGTH, ""), (TILE_WIDTH, TILE_LENGTH, "a tile of ")):
        if width in numbers and length in numbers:
            check_size((*numbers[width], *numbers[length]), file, what)
    _check_parts(numbers, samples, file)
    for places, sizes in PARTS:
        for place, size in zip_longest(numbers.get(places, ()), numbers.get(sizes, ()), fillvalue=0):
            if place + size > len(data):  # beyond which the new directory will be
                raise IndexError
    if numbers.get(COMPRESSION) == (JPEG,) and samples != 2:  # which libjpeg-turbo's interface does not support
        for places, sizes in PARTS:
            for place, size in zip(numbers.get(places, ()), numbers.get(sizes, ()), strict=False):
                jpeg.decode(tables[:-2] + data[place : place + size][2 if tables else 0 :], file)
    gap = -len(data) % 8
    directory = [bytes(gap), struct.pack(order + counted, len(kept)), *(kept[tag] for tag in sorted(kept)), bytes(8)]
    header = data[:head] + struct.pack(order + address, len(data) + gap)
    return b"".join([header, memoryview(data)[len(header) :], *directory])


def _check_parts(numbers: dict[int, tuple[int, ...]], samples: int, file: str) -> None:
    """Raise ImageError where there are fewer strips or tiles than the picture has; Pillow leaves their places black."""

    def number(tag: int, default: int) -> int:
        return max(numbers.get(tag, (default,))[0], 1)

    width, length = number(WIDTH, 1), number(LENGTH, 1)
    (places, _), down, across = PARTS[0], number(ROWS, length), width
    if places not in numbers:
        (places, _), down, across = PARTS[1], number(TILE_LENGTH, length), number(TILE_WIDTH, width)
    parts = -(-length // down) * -(-width // across) * (samples if number(PLANES, 1) == 2 else 1)
    found = len(numbers.get(places, ()))
    if found < parts:
        raise ImageError(f"a damaged picture: {found} strips or tiles; {parts} are expected", file=file)


@contextmanager
def errors_raised() -> Iterator[None]:
    """Raise OSError for what libtiff reports in this thread meanwhile; it is not printed."""
    _listen()
    reports: list[str] = []
    outer, _own.reports = getattr(_own, "reports", None), reports  # a signal's handler may decode meanwhile
    try:
        yield
    except Exception:
        if not reports:  # which say more
            raise
    finally:
        _own.reports = outer
    if reports:
        raise OSError(reports[0])


@cache
def _listen() -> None:
    """Have libtiff report errors to `errors_raised`, in threads that are within it; others go where they went before.

    Where libtiff is built into Pillow, which hides it, errors are printed.
    """
    from PIL import Image

    try:
        install = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError, TypeError):
        return
    install.argtypes, install.restype = [_Handler], _Handler

    def report(module: bytes | None, reason: bytes | None, values: int | None) -> None:
        reports = getattr(_own, "reports", None)
        if reports is not None:
            # The values are a va_list, which only C can read.
            words = (reason or b"").partition(b"%")[0].rstrip(b" (\"':;,")
            reports.append(f"libtiff: {(words or module or b'an error').decode('latin-1')}")
        elif before:
            before(module, reason, values)

    before, handler = None, _Handler(report)
    _kept.append(handler)
    before = install(handler)
