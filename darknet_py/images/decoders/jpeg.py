"""JPEG, by libjpeg-turbo through simplejpeg: unlike Pillow and OpenCV it reports damage within the scan.

libjpeg reports only the first of its warnings. So that none hides another, what it would warn of but every viewer
ignores is removed or corrected first: stray bytes between segments, versions and parameters that change no pixel. What
remains are lost pixels, which are errors, and coded data that go on when all pixels are decoded, as many webcams write
them; what comes after these is then decoded separately.

Source: ITU-T T.81, annex B; libjpeg-turbo's ``jdmarker.c``, ``jerror.h``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import DarknetWarning, ImageError, ImageSizeError
from ...files import describe_oserror
from .limits import check_size, max_pixels

if TYPE_CHECKING:
    import numpy.typing as npt

Picture: TypeAlias = "npt.NDArray[np.uint8]"
Bytes = bytes | memoryview

SOI, EOI, SOS, DRI, DNL, APP0, APP14, COM = 0xD8, 0xD9, 0xDA, 0xDD, 0xDC, 0xE0, 0xEE, 0xFE
SOFS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = (0xC0, 0xC1, 0xC9)
ALONE = frozenset([0x01, *range(0xD0, 0xD8)])  # markers without a segment
SEGMENTS = SOFS | {0xC4, 0xCC, 0xDB, SOS, DRI}  # quantization, Huffman tables and arithmetic conditioning, frame, scan
PASSED_OVER = frozenset([DNL, COM, *range(APP0, APP0 + 16)])
KNOWN = SEGMENTS | PASSED_OVER
END = b"\xff\xd9"

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")
_END_OF_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(..)")

MAX_SCANS = 500  # as libjpeg-turbo's own fuzzers have it; encoders write about ten
FULL_SCANS = 32  # for a picture of the most pixels; decoding takes time for scans times pixels
MAX_SIDE = 65500  # pixels, libjpeg's
AHEAD = 6  # bytes
MAX_TRIED = 1 << 24  # pixels, which are decoded a dozen times in search of what was lost


class _Stream:
    """A JPEG's segments that decide its pixels; `scans` are the positions of coded data among them."""

    def __init__(self) -> None:
        self.parts: list[Bytes] = [bytes([0xFF, SOI])]
        self.scans: list[int] = []
        self.frame = -1  # the position of the frame header
        self.adobe = -1  # and that of Adobe's segment
        self.restart = 0  # restart interval, MCUs

    def joined(self, scans: int | None = None) -> bytes:
        """The file, with the first `scans` of its scans, or all."""
        if scans is None:
            return b"".join(self.parts)
        return b"".join([*self.parts[: self.scans[scans - 1] + 1], END])


def is_complete(data: bytes, file: str) -> bool:
    """Whether `data` begins and ends like a whole JPEG, with a valid header; coded data are not read.

    Raises
    ------
    ImageError
        Where it is too large.
    """
    import simplejpeg

    if not (data.startswith(bytes([0xFF, SOI])) and data.endswith(END)):
        return False
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    check_size((width, height), file)
    return True


def decode(data: bytes, file: str) -> Picture:
    """The pixels of the JPEG `data`; raises ImageError where some are lost, warns where data are left over."""
    pixels = _decode_whole(data, file) if data.endswith(END) and _has_one_scan(data) else None
    return _decode_parts(_split(data), file) if pixels is None else _to_rgb(pixels)


def _decode_whole(data: bytes, file: str) -> Picture | None:
    """The pixels, if libjpeg has no complaint; else None."""
    try:
        pixels, space = _make_room(data, file)
        _none(_complaint(data, space, pixels))
    except ValueError:
        return None
    return pixels


def _has_one_scan(data: bytes) -> bool:
    """Whether nothing is odd before the first scan, which has all components of a sequential picture.

    If libjpeg then has no complaint, there is nothing to remove: the search for what there may be, and the copy, took
    4 % of the time of loading a picture.
    """
    position, components = 2, 0
    while position + 9 < len(data) and data[position] == 0xFF:
        kind = data[position + 1]
        if kind == SOS:
            return data[position + 4] == components
        if kind in SOFS:
            if components or kind not in SEQUENTIAL:
                return False
            components = data[position + 9]
        elif kind not in KNOWN:
            return False
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _make_room(data: Bytes, file: str) -> tuple[Picture, str]:
    """An array for the pixels of a JPEG, and simplejpeg's name of their colour space; ValueError where damaged."""
    import simplejpeg

    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    check_size((width, height), file)
    inks = colorspace in ("CMYK", "YCCK")
    return np.empty((height, width, 4 if inks else 3), np.uint8), "CMYK" if inks else "RGB"


def _decode_parts(stream: _Stream, file: str) -> Picture:
    """As `decode`, given only what decides the pixels."""
    plain = stream.joined()
    try:
        pixels, space = _make_room(plain, file)
        height, width, _ = pixels.shape
        most = min(MAX_SCANS, FULL_SCANS * max_pixels() // (width * height))
        if len(stream.scans) > most:
            reason = f"a JPEG of {len(stream.scans)} scans; of {width} x {height} at most {most}"
            raise ImageSizeError(reason, file=file)
        complaint = _complaint(plain, space, pixels)
        if complaint:
            warning = f"{_stray(complaint)[0]} stray bytes after coded pixels, all of which are there; a damaged JPEG?"
            if stream.parts[-1] != END:
                raise ValueError("Premature end of JPEG file")
            if len(stream.scans) == 1:
                _check_intervals(stream, space)
            elif _stray(complaint)[1] != EOI:
                _check_scans(stream, space)
                _none(_complaint(stream.joined(), space, pixels))
            warnings.warn(DarknetWarning(str(ImageError(warning, file=file))), stacklevel=3)
    except ValueError as reason:
        raise _damaged(reason, file) from None
    return _to_rgb(pixels)


def decode_frame(data: bytes, file: str) -> Picture:
    """The pixels of a camera's JPEG; ValueError where some are lost, ImageError where there are too many.

    Bytes that are left over after the last of them are ignored.
    """
    pixels, space = _make_room(data, file)
    complaint = _complaint(data, space, pixels)
    if complaint and _stray(complaint)[1] != EOI:
        raise ValueError(complaint)
    return _to_rgb(pixels)


def _damaged(reason: ValueError, file: str) -> ImageError:
    return ImageError(f"a damaged JPEG: {describe_oserror(reason)}", file=file)


def _split(data: bytes) -> _Stream:
    """The parts of `data` that decide the pixels, each in a form that libjpeg takes without a warning.

    A part at which libjpeg would stop is left as it is, and is the last.
    """
    view, stream, position = memoryview(data), _Stream(), 2
    parts = stream.parts
    while marker := _MARKER.search(data, position):
        start, position = marker.span()
        kind = data[position - 1]
        if kind in ALONE:
            continue
        if kind == EOI:
            parts.append(END)
            break
        length = int.from_bytes(data[position : position + 2], "big")
        end = position + length
        if kind not in KNOWN or length < 2 or end > len(data):
            parts.append(view[start:])
            break
        segment, position = data[start:end], end
        if kind == SOS:
            if stream.frame >= 0 and parts[stream.frame][1] in SEQUENTIAL and length >= 6:
                # The frequencies that a scan declares do not matter here, and some cameras write none.
                segment = segment[:-3] + b"\0\x3f\0"
            after = _END_OF_SCAN.search(data, end)
            position = after.start() if after else len(data)
            stream.scans.append(len(parts) + 1)
            parts += [segment, view[end:position]]
        elif kind in SEGMENTS:
            if kind in SOFS:
                stream.frame = len(parts)
            elif kind == DRI:
                stream.restart = int.from_bytes(segment[4:], "big")
            parts.append(segment)
        # How colours are coded, in the only version that libjpeg knows.
        elif kind == APP0 and segment[4:9] == b"JFIF\0" and length >= 16:
            parts.append(segment[:9] + b"\1" + segment[10:])
        elif kind == APP14 and segment[4:9] == b"Adobe" and length >= 14:
            stream.adobe = len(parts)
            parts.append(segment)
    if min(stream.frame, stream.adobe) >= 0:
        # Of three components all transforms but 0 mean YCbCr, of four YCCK.
        adobe, components = parts[stream.adobe], parts[stream.frame][9:10]
        transform = min(adobe[15], 2 if components == b"\4" else 1)
        parts[stream.adobe] = bytes(adobe[:15]) + bytes([2 if transform and components == b"\4" else transform])
    return stream


def _complaint(data: bytes, space: str, pixels: Picture | None = None) -> str:
    """Decode `data` into `pixels`; return the warning that coded data are left over, if there is one.

    Raises
    ------
    ValueError
        Where pixels are lost.
    """
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, space, buffer=pixels, strict=True)
    except ValueError as reason:
        if _STRAY.search(str(reason)):
            return str(reason)
        raise
    return ""


def _stray(complaint: str) -> tuple[int, int]:
    """How many bytes are left over, and the marker after them."""
    found = _STRAY.search(complaint)
    assert found is not None
    return int(found[1]), int(found[2], 16)


def _none(complaint: str) -> None:
    if complaint:
        raise ValueError(complaint)


def _check_scans(stream: _Stream, space: str) -> None:
    """Remove what is left over at the end of each scan; raise ValueError where a scan lacks data or has others left.

    Decoding the scans up to one shows what is left over of that one, as the leftovers of those before are gone.
    """
    for number, place in enumerate(stream.scans, 1):
        # The decoder does not count the bytes that it has read ahead.
        while complaint := _complaint(stream.joined(number), space):
            count, marker = _stray(complaint)
            coded = stream.parts[place]
            if marker != EOI or count > len(coded):
                raise ValueError(complaint)
            stream.parts[place] = coded[: len(coded) - count]


def _check_intervals(stream: _Stream, space: str) -> None:
    """Raise ValueError where the only scan lacks blocks; each of its restart intervals is decoded separately."""
    (place,) = stream.scans
    frame = bytes(stream.parts[stream.frame])
    height, width, components = int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[7:9], "big"), frame[9]
    factors = [(byte >> 4, byte & 15) for byte in frame[11 : 11 + 3 * components : 3]]
    # A single component is not interleaved: its MCU is one block.
    across = 8 * (max(h for h, _ in factors) if components > 1 else 1)
    down = 8 * (max(v for _, v in factors) if components > 1 else 1)
    total = -(-width // across) * -(-height // down)
    coded = _RESTART.split(bytes(stream.parts[place]))
    step = stream.restart or total
    counts = [min(step, total - first) for first in range(0, total, step)]
    ordered = b"".join(coded[1::2]) == bytes(0xD0 + n % 8 for n in range(len(counts) - 1))
    if frame[1] not in SEQUENTIAL or stream.parts[place - 1][4] != components or not ordered:
        raise ValueError("Corrupt JPEG data: restart markers out of order")

    def complain(count: int, data: bytes) -> str:
        """The complaint about a picture of `count` MCUs with the coded `data`."""
        rows = next((rows for rows in range(1, MAX_SIDE // down) if not count % rows and count // rows <= longest), 0)
        if not rows:
            raise ValueError(f"Corrupt JPEG data: no picture of {count} blocks")
        size = (rows * down).to_bytes(2, "big") + (count // rows * across).to_bytes(2, "big")
        return _complaint(b"".join([*before, frame[:5], size, frame[9:], *after, data, END]), space)

    longest = MAX_SIDE // across
    before, after = (
        [part for part in parts if part[1:2] != bytes([DRI])]
        for parts in (stream.parts[: stream.frame], stream.parts[stream.frame + 1 : place])
    )
    for count, data in zip(counts, coded[::2], strict=True):
        complaint = complain(count, data)
        if complaint and _stray(complaint)[1] != EOI:
            raise ValueError(complaint)
        # Even without a complaint some bytes may be left, as many as the decoder reads ahead.
        left = _stray(complaint)[0] if complaint else AHEAD
        if _goes_on(complain, count, MAX_TRIED // (across * down), data, left):
            raise ValueError(f"Corrupt JPEG data: blocks are left over, {left} bytes of them")


def _goes_on(complain: Callable[[int, bytes], str], count: int, most: int, data: bytes, left: int) -> bool:
    """Whether the bytes that are `left` after `count` MCUs in `data` are MCUs, too, to the last bit.

    Then they are the picture's last, and earlier damage has cost as many: decoders soon synchronize again. Other bytes
    end like an MCU by chance, the likelier the shorter MCUs are: nothing is concluded from short ones, or past `most`.
    """

    def lacks(count: int, data: bytes) -> bool:
        try:
            if count <= most:
                complain(count, data)
                return False
        except ValueError:
            pass
        return True

    low, high = count, count + 1
    while not lacks(high, data):
        low, high = high, 2 * high - count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lacks(middle, data) else (middle, high)
    if low == count or left + 2 < 8 * (low - count):
        return False
    data = data.rstrip(b"\xff")
    data, last = (data[:-2], 0xFF) if data.endswith(b"\xff\0") else (data[:-1], data[-1])
    return last & 1 == 1 and lacks(low, data)  # a scan's last byte is filled up with ones


def _to_rgb(pixels: Picture) -> Picture:
    """RGB pixels; CMYK is converted as Adobe does it: JPEGs have it inverted."""
    if pixels.shape[2] == 3:
        return pixels
    from PIL import Image

    height, width, _ = pixels.shape
    picture = np.empty((height, width, 3), np.uint8)
    rows = max((1 << 20) // width, 1)
    for top in range(0, height, rows):
        band = ~pixels[top : top + rows]
        picture[top : top + rows] = np.asarray(
            Image.frombytes("CMYK", (width, len(band)), band.tobytes()).convert("RGB")
        )
    return picture
