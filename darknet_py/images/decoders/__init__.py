"""Pixels from the content of a picture file, whole or not at all.

Each decoder gets only what decides the pixels: what else a file carries is passed over, as darknet passes it over.
None changes or needs what is global to the process, so pictures can be decoded in many threads; but OpenCV, which is
loaded when a picture needs it, is set by environment variables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ImageError, ImageFormatError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PNG = b"\x89PNG\r\n\x1a\n"
JPEG2000, CODESTREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"  # which is a file's content, or alone
RADIANCE, RGBE = b"#?RADIANCE\n", b"#?RGBE\n"
OPENEXR = b"\x76\x2f\x31\x01"
UNKNOWN = "not a picture in any format known here"
# Formats by their first bytes; TGA has none and is told by a header that makes sense.
SIGNATURES = {
    b"\xff\xd8": "JPEG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    PNG: "PNG",
    **dict.fromkeys([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"], "TIFF"),  # the last two have addresses of 64 bits
    **{b"P%d" % kind: "PPM" for kind in range(1, 7)},
    b"Pf": "PPM",
    **dict.fromkeys([JPEG2000, CODESTREAM], "JPEG2000"),
    **dict.fromkeys([RADIANCE, RGBE], "HDR"),
    OPENEXR: "EXR",
}
# Modules here, loaded when a picture needs them; what they leave, and all other formats, is Pillow's.
DECODERS = {"JPEG": "jpeg", "PPM": "netpbm", "JPEG2000": "jpeg2000", "HDR": "radiance", "EXR": "openexr"}
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
        kind = _kind(data, file)
        if kind in DECODERS:
            decoder = import_module(f"{__name__}.{DECODERS[kind]}")
            picture: npt.NDArray[np.uint8] | None = decoder.decode(data, file)
            if picture is not None:
                return picture
        from . import pillow

        return pillow.decode(data, kind, file)
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
