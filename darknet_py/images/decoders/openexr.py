"""OpenEXR, by OpenCV where it was built with it.

Source: "OpenEXR File Layout", openexr.com.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ImageError
from . import opencv
from .limits import check_size
from .signatures import OPENEXR

if TYPE_CHECKING:
    import numpy.typing as npt

VERSION, TILED, LONG_NAMES = 2, 0x200, 0x400
COLOURS = {b"R", b"G", b"B"}
KINDS = (1, 2)  # kinds of numbers: half, float


def decode(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    """The pixels of the EXR `data`, those of its data window; alpha is dropped."""
    try:
        attributes = _read_header(data, file)
        left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
        channels = dict(_read_channels(attributes[b"channels"]))
    except (struct.error, ValueError, KeyError):
        raise ImageError("a damaged picture: image file is truncated", file=file) from None
    size = right - left + 1, bottom - top + 1
    check_size(size, file)
    names = channels.keys() - {b"A"}
    if names not in (COLOURS, {b"Y"}) or any(form[0] not in KINDS or form[1:] != (1, 1) for form in channels.values()):
        told = ", ".join(name.decode("latin-1") for name in channels)
        raise ImageError(f"an EXR of the channels {told}; R, G, B or Y of floats, each whole, are read", file=file)
    if version := opencv.lacks("OpenEXR", file):
        reason = (
            f"an EXR; this OpenCV ({version}) was built without OpenEXR, that of pip install 'opencv-python<5' with it"
        )
        raise ImageError(reason, file=file)
    return opencv.decode_light(data, size, file)


def _read_header(data: bytes, file: str) -> dict[bytes, bytes]:
    """The attributes in the header of an EXR of one picture."""
    (version,) = struct.unpack_from("<I", data, len(OPENEXR))
    if version & ~(TILED | LONG_NAMES) != VERSION:
        raise ImageError("an EXR of several parts, of deep pixels, or of a later version", file=file)
    attributes: dict[bytes, bytes] = {}
    place = 8
    while data[place : place + 1] != b"\0":
        name_end = data.index(b"\0", place)
        kind_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", data, kind_end + 1)
        name, place = data[place:name_end], kind_end + 5 + size
        if size < 0 or place >= len(data) or name in attributes:
            raise ValueError
        attributes[name] = data[kind_end + 5 : place]
    return attributes


def _read_channels(listed: bytes) -> list[tuple[bytes, tuple[int, int, int]]]:
    """Each channel's name, with its kind of numbers and how many columns and rows of pixels share one."""
    channels, place = [], 0
    while listed[place : place + 1] != b"\0":
        end = listed.index(b"\0", place)
        kind, across, down = struct.unpack_from("<i4x2i", listed, end + 1)
        channels.append((listed[place:end], (kind, across, down)))
        place = end + 17
    return channels
