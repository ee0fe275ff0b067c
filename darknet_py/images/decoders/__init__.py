"""Pixels from the content of a picture file, whole or not at all.

Each decoder gets only what decides the pixels: what else a file carries is passed over, as darknet passes it over.
None changes or needs what is global to the process, so pictures can be decoded in many threads; but OpenCV, which is
loaded when a picture needs it, is set by environment variables.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import ImageError, ImageFormatError
from . import jpeg, jpeg2000, netpbm, openexr, pillow, radiance, tiff
from .pillow import UNKNOWN, from_pillow
from .png import SIGNATURE as PNG

__all__ = ["decode", "from_pillow"]

# Formats by their first bytes; TGA has none and is told by a header that makes sense.
SIGNATURES = {
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    PNG: "PNG",
    **dict.fromkeys(tiff.SIGNATURES, "TIFF"),
    **{b"P%d" % kind: "PPM" for kind in range(1, 7)},
    b"Pf": "PPM",
    **dict.fromkeys([jpeg2000.SIGNATURE, jpeg2000.CODESTREAM], "JPEG2000"),
    **dict.fromkeys(radiance.SIGNATURES, "HDR"),
    openexr.SIGNATURE: "EXR",
}
# By OpenCV, as far as Pillow cannot; all others by Pillow alone.
DECODERS = {"JPEG2000": jpeg2000.decode, "HDR": radiance.decode, "EXR": openexr.decode}
TGA_TYPES = {(0, 2), (0, 3), (0, 10), (0, 11), (1, 1), (1, 9)}  # has a palette, coding


def decode(data: bytes, file: str) -> npt.NDArray[np.uint8]:
    """The pixels, uint8 (height, width, 3), of the content of a picture file; `file` is its name for messages.

    Raises
    ------
    ImageError
        Where it is no picture, damaged, cut short, or too large.
    """
    if not data:
        raise ImageError("an empty file", file=file)
    try:
        if data[:2] == b"\xff\xd8":
            return jpeg.decode(data, file)
        picture = netpbm.decode(data, file)
        if picture is not None:
            return picture
        kind = _kind(data, file)
        return DECODERS[kind](data, file) if kind in DECODERS else pillow.decode(data, kind, file)
    except MemoryError:
        raise ImageError("not enough memory to decode it", file=file) from None


def _kind(data: bytes, file: str) -> str:
    for signature, kind in SIGNATURES.items():
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:15] == b"WEBPVP8":
        return "WEBP"
    if tuple(data[1:3]) in TGA_TYPES:
        return "TGA"
    raise ImageFormatError(UNKNOWN, file=file)
