"""Pixels from the content of a picture file, whole or not at all.

Each decoder gets only what decides the pixels: anything else in a file is ignored, as in darknet. None changes or needs
what is global to the process, so pictures can be decoded in many threads; except that OpenCV, which is loaded when a
picture needs it, is configured by environment variables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ImageError, ImageFormatError
from .signatures import SIGNATURES, TGA_TYPES, UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Modules here, loaded when a picture needs them; what they decline, and all other formats, is left to Pillow.
DECODERS = {"JPEG": "jpeg", "PPM": "netpbm", "JPEG2000": "jpeg2000", "HDR": "radiance", "EXR": "openexr"}


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
